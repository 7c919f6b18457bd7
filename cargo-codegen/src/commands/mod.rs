//! One file per noun; each wires the stages and holds no logic.
