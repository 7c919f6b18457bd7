//! Who asks: how the code of a slice makes repositories and services, and what its methods, use cases and routes take
//! for it. The templates print what is said here, and say nothing of their own about actors, tenants and versions.

use super::{Slice, fields};
use crate::model::{EmitOn, Entity, RelationKind, Subsystem};
use crate::render::field::is_input;
use crate::render::imports::Imports;
use crate::render::scaffold;

/// What is done for the one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Create,
    Update,
    Delete,
    Restore,
    Purge,
    /// A link to another row is added or taken away.
    Link,
}

/// Where the repository of another entity is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A method of the slice's repository.
    Repository,
    /// A method of its service.
    Service,
    /// Elsewhere, where there is a `tenant`.
    Function,
}

impl Call {
    fn is_write(self) -> bool {
        self != Self::Read
    }

    /// Whether events may be published about it.
    fn publishes(self) -> bool {
        !matches!(self, Self::Read | Self::Link)
    }

    /// When an event about it is published.
    pub(super) fn emits(self) -> EmitOn {
        match self {
            Self::Create => EmitOn::Create,
            Self::Update => EmitOn::Update,
            Self::Delete => EmitOn::Delete,
            Self::Restore => EmitOn::Restore,
            Self::Purge => EmitOn::Purge,
            Self::Read | Self::Link => EmitOn::Manual,
        }
    }
}

/// A part of a parameter list, and what a caller passes for it; each item follows a comma.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) declared: String,
    pub(super) passed: String,
}

impl Parameters {
    pub(super) fn add(&mut self, declared: &str, passed: &str) {
        self.declared += &format!(", {declared}");
        self.passed += &format!(", {passed}");
    }
}

/// A method of the service.
#[derive(Default)]
pub(super) struct MethodView {
    /// Behind `db`.
    pub(super) first: Parameters,
    /// Behind everything else.
    pub(super) last: Parameters,
}

/// A use case.
pub(super) struct UseCaseView {
    /// Behind the caller's transaction: what it needs of the state.
    pub(super) state: Parameters,
    /// Behind `state`.
    pub(super) first: Parameters,
    /// Behind everything else.
    pub(super) last: Parameters,
    /// The service that does it.
    pub(super) service: String,
    /// What the service takes behind `db`.
    pub(super) lent: String,
    /// What it takes behind everything else.
    pub(super) handed: String,
    /// What publishes the events.
    pub(super) events: String,
}

/// A route.
pub(super) struct RouteView {
    /// Behind `State`.
    pub(super) extractors: String,
    /// Statements before the call.
    pub(super) prepare: &'static str,
    /// What the use case takes of the state behind the caller's transaction.
    pub(super) state: &'static str,
    /// What the use case takes behind `state`.
    pub(super) first: String,
    /// What it takes behind everything else.
    pub(super) last: String,
    /// Parameters of utoipa behind the path's: what is read from headers.
    pub(super) headers: &'static str,
    /// Further answers.
    pub(super) refusals: Vec<String>,
}

impl Slice<'_> {
    /// Whether the rows belong to tenants: repository and service exist for one tenant only.
    pub(super) fn is_of_tenant(&self) -> bool {
        self.entity.behaviors.tenant
    }

    /// Whether a write needs a tenant although the rows have none: to see the rows that it refers to.
    fn borrows_tenant(&self, call: Call) -> bool {
        let refers = |entity: &Entity| {
            entity.relations.iter().any(|it| {
                let field = entity.field(&it.foreign_key.snake);
                let target = self.model.entity(&it.target);
                it.kind == RelationKind::BelongsTo
                    && field.is_some_and(is_input)
                    && target.is_some_and(|it| it.behaviors.tenant)
            })
        };
        matches!(call, Call::Create | Call::Update) && !self.is_of_tenant() && refers(self.entity)
    }

    fn has_tenant(&self, call: Call) -> bool {
        self.is_of_tenant() || self.borrows_tenant(call)
    }

    /// Whether the service stamps the row with who did it: only a row that stays can be.
    pub(super) fn stamps(&self, call: Call) -> bool {
        let behaviors = self.entity.behaviors;
        behaviors.user_tracking
            && match call {
                Call::Create | Call::Update => true,
                Call::Delete | Call::Restore => behaviors.soft_delete,
                Call::Read | Call::Purge | Call::Link => false,
            }
    }

    /// Whether a use case or a route needs to know the user: to stamp the row, or for the custom fields that are theirs.
    fn names_actor(&self, call: Call) -> bool {
        let stores = matches!(call, Call::Create | Call::Update);
        self.stamps(call) || (stores && fields::are_of_users(*self))
    }

    /// Whether the caller says which version of the row is meant.
    fn expects(&self, call: Call) -> bool {
        self.entity.behaviors.optimistic_lock && matches!(call, Call::Update | Call::Delete)
    }

    fn publishes(&self, call: Call) -> bool {
        let emits = self.entity.emits.iter().any(|it| it.on == call.emits());
        self.model.config.has(Subsystem::Events) && call.publishes() && emits
    }

    /// Whether events are published for a tenant that only the caller knows.
    fn publishes_for_caller(&self, call: Call) -> bool {
        self.model.config.multi_tenant && self.publishes(call) && !self.has_tenant(call)
    }

    /// Whether the events are published by the runtime of the state.
    fn publishes_by_state(&self, call: Call) -> bool {
        self.publishes(call) && !self.publishes_for_caller(call)
    }

    /// The repository, in a method of the service.
    pub(super) fn repository(&self) -> String {
        if self.is_of_tenant() {
            "self.repository".to_owned()
        } else {
            format!("{}Repository", self.entity.name.pascal)
        }
    }

    /// The repository of an entity, where every read of its rows starts.
    ///
    /// One for the rows of a tenant needs a `tenant` at hand where this slice has none of its own.
    pub(super) fn repository_of(
        &self,
        target: &Entity,
        place: Place,
        imports: &mut Imports,
    ) -> String {
        let own = target.name == self.entity.name;
        match place {
            Place::Service if own => return self.repository(),
            Place::Repository if own => return "self".to_owned(),
            _ => {}
        }
        let name = format!("{}Repository", target.name.pascal);
        let ty = if own {
            imports.name(&format!("super::repository::{name}"))
        } else {
            imports.name(&format!("crate::{}::{name}", target.plural.ident))
        };
        match (target.behaviors.tenant, self.is_of_tenant(), place) {
            (false, ..) => ty,
            (true, true, Place::Repository) => format!("{ty}::of(&self.tenant)"),
            (true, true, Place::Service) => format!("{ty}::of(self.repository.tenant())"),
            (true, ..) => format!("{ty}::of(tenant)"),
        }
    }

    /// The service, where there is a `tenant`: `Tenant` or `&Tenant`, as `borrow` says.
    pub(super) fn service(&self, borrow: &str) -> String {
        let pascal = &self.entity.name.pascal;
        if self.is_of_tenant() {
            format!("{pascal}Service::of({borrow}tenant)")
        } else {
            format!("{pascal}Service")
        }
    }

    /// Who asks, as a method of the service takes it.
    pub(super) fn method(&self, call: Call, imports: &mut Imports) -> MethodView {
        let mut first = Parameters::default();
        if self.borrows_tenant(call) {
            first.add(&format!("tenant: &{}", tenant(imports)), "tenant");
        }
        MethodView {
            first,
            last: self.last(call, self.stamps(call), imports),
        }
    }

    fn last(&self, call: Call, names_actor: bool, imports: &mut Imports) -> Parameters {
        let mut last = Parameters::default();
        if names_actor {
            let uuid = imports.name("uuid::Uuid");
            last.add(&format!("actor: Option<{uuid}>"), "actor");
        }
        if self.expects(call) {
            let expected = imports.name("crate::generated::Expected");
            last.add(&format!("expected: &{expected}"), "expected");
        }
        last
    }

    /// Who asks, as a use case takes it.
    pub(super) fn use_case(&self, call: Call, imports: &mut Imports) -> UseCaseView {
        let mut first = Parameters::default();
        let mut events = "state.runtime.events()".to_owned();
        if self.has_tenant(call) {
            first.add(&format!("tenant: &{}", tenant(imports)), "tenant");
            events += ".for_tenant(tenant.as_str())";
        } else if self.publishes_for_caller(call) {
            let ty = imports.name("runtime_sea::Events");
            first.add(&format!("events: &{ty}"), "events");
            events = "events".to_owned();
        }
        let mut state = Parameters::default();
        if self.publishes_by_state(call) {
            let ty = scaffold::state_type(&self.model.config);
            state.add(&format!("state: &{ty}"), "state");
        }
        UseCaseView {
            state,
            first,
            last: self.last(call, self.names_actor(call), imports),
            handed: self.last(call, self.stamps(call), imports).passed,
            service: self.service(""),
            lent: if self.borrows_tenant(call) {
                ", tenant".to_owned()
            } else {
                String::new()
            },
            events,
        }
    }

    /// Who asks, as a route finds out.
    pub(super) fn route(&self, call: Call, imports: &mut Imports) -> RouteView {
        let tracks = self.entity.behaviors.user_tracking && call.is_write();
        self.route_of(call, tracks, imports)
    }

    /// The same, of a route that links rows to those of `target`: a link is a change of both.
    pub(super) fn link_route(&self, target: &Entity, imports: &mut Imports) -> RouteView {
        let tracks = [self.entity, target]
            .iter()
            .any(|it| it.behaviors.user_tracking);
        self.route_of(Call::Link, tracks, imports)
    }

    fn route_of(&self, call: Call, tracks: bool, imports: &mut Imports) -> RouteView {
        let mut extractors = String::new();
        let (mut first, mut last) = (String::new(), String::new());
        let mut prepare = "";
        let mut refusals = Vec::new();
        let mut generated = |name: &str| imports.name(&format!("crate::generated::{name}"));
        if self.has_tenant(call) {
            extractors += &format!(", tenant: {}", generated("Tenant"));
            first += ", &tenant";
            refusals.push(generated("Unauthenticated"));
            refusals.push(generated("Forbidden"));
        }
        if tracks || self.names_actor(call) {
            let actor = generated("Actor");
            if self.names_actor(call) {
                extractors += &format!(", {actor}(actor): {actor}");
                last += ", Some(actor)";
            } else {
                extractors += &format!(", _: {actor}");
            }
            if refusals.is_empty() {
                refusals.push(generated("Unauthenticated"));
            }
        }
        if self.expects(call) {
            extractors += &format!(", expected: {}", generated("Expected"));
            last += ", &expected";
            refusals.push(generated("Unconditional"));
        }
        if self.publishes_for_caller(call) {
            generated("tenant_events");
            extractors += &format!(
                ", context: {}",
                imports.name("crate::context::RequestContext")
            );
            prepare = "let events = tenant_events(&state.runtime, context.tenant.as_deref());";
            first += ", &events";
        }
        RouteView {
            extractors,
            prepare,
            state: if self.publishes_by_state(call) {
                ", &state"
            } else {
                ""
            },
            first,
            last,
            headers: match call {
                _ if self.expects(call) => ", Expected",
                Call::Read if self.entity.behaviors.optimistic_lock => ", Known",
                _ => "",
            },
            refusals,
        }
    }
}

fn tenant(imports: &mut Imports) -> String {
    imports.name("crate::generated::Tenant")
}
