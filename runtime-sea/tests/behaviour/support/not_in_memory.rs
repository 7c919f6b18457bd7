//! What is not tested in memory, and why: this is the only list of it.

/// Makes a macro of the tests that mean nothing there, each with its reason. `$` is handed in because a macro
/// cannot write it for the macro that it makes.
macro_rules! not_in_memory {
    ($dollar:tt $($reason:literal: [$($test:ident),+ $(,)?])+) => {
        pub(crate) const NOT_IN_MEMORY: &[&str] = &[$($(stringify!($test)),+),+];

        /// Makes a test in memory; where it is listed, it is reported as ignored, with the reason.
        macro_rules! make_test {
            $($((
                $dollar(#[$dollar attribute:meta])* $test
            ) => {
                $dollar(#[$dollar attribute])*
                #[test]
                #[ignore = $reason]
                fn $test() { $crate::support::in_memory(super::$test); }
            };)+)+
            (
                $dollar(#[$dollar attribute:meta])* $dollar test:ident
            ) => {
                $dollar(#[$dollar attribute])*
                #[test]
                fn $dollar test() { $crate::support::in_memory(super::$dollar test); }
            };
        }
    };
}

not_in_memory! { $
    "processes share no memory": [
        r01_a_worker_killed_in_the_middle_of_a_step_loses_nothing_and_repeats_no_finished_step,
        r02_a_worker_killed_after_a_steps_effect_executes_it_again_with_the_same_key,
        r09_a_busy_process_that_is_told_to_stop_twice_ends_in_order,
        r11_a_run_that_kills_its_worker_every_time_is_given_up,
        r25_two_processes_migrate_at_once,
        r25_of_real_processes_that_migrate_at_once_one_applies_and_the_others_wait,
        r25_a_process_killed_while_it_migrates_lets_the_next_one_finish,
        r25_a_process_that_ends_while_it_migrates_lets_the_next_one_in,
    ]
    "the worker is on the thread that its handler blocks": [
        r06_a_handler_that_blocks_its_thread_does_not_make_its_worker_look_dead,
    ]
    "the one connection is the heartbeat's as well": [
        r17_handlers_that_hold_every_connection_do_not_stop_the_heartbeat,
        r17_a_subscription_that_holds_every_connection_does_not_stop_the_upkeep,
    ]
}

pub(crate) use make_test as test_in_memory;
