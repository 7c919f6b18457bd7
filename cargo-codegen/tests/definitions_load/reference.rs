//! The definitions of the reference, of patterns and of the fixtures.

use crate::support::{ACCOUNT, DEFINITIONS, VALUES, columns, entity, fixture, load};

use cargo_codegen::model::{
    Direction, EmitOn, EventTier, Family, FieldType, Ordering, PayloadType, SortOrder,
};

#[test]
fn the_reference_entity_loads_unchanged() {
    let (model, notes) = load(&[
        (
            "entities/contact.yaml",
            include_str!("../definitions/reference/contact.yaml"),
        ),
        ("entities/account.yaml", ACCOUNT),
        DEFINITIONS,
        VALUES,
        (
            "events/contact_created.yaml",
            include_str!("../definitions/reference/contact_created.yaml"),
        ),
        (
            "events/contact_updated.yaml",
            "type: contact_updated\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
        (
            "events/contact_deleted.yaml",
            "type: contact_deleted\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
    ]);
    assert!(!notes.contains('×'), "{notes}");
    let contact = entity(&model, "contact");
    assert_eq!(
        columns(contact),
        [
            "id",
            "email",
            "status",
            "metadata",
            "score",
            "account_id",
            "created_at",
            "updated_at",
            "deleted_at",
            "created_by",
            "updated_by",
            "external_id",
            "provider",
            "provider_metadata"
        ]
    );
    assert_eq!(contact.key().unwrap().ty, FieldType::Uuid);
    let on: Vec<EmitOn> = contact.emits.iter().map(|it| it.on).collect();
    assert_eq!(on, [EmitOn::Create, EmitOn::Update, EmitOn::Delete]);
    let queries: Vec<&str> = contact
        .queries
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    assert_eq!(
        queries,
        ["find_by_email", "list_by_account_id", "find_by_external_id"]
    );
    let [search] = contact.named_queries.as_slice() else {
        panic!("{:?}", contact.named_queries);
    };
    assert_eq!(search.name.snake, "search");
    assert_eq!(search.filters, ["email", "account_id"]);
    assert_eq!(search.search, ["email"]);
    assert!(search.is_in_pages());
    assert_eq!(
        contact.queries[1].order,
        [("created_at".to_owned(), SortOrder::Descending)]
    );
    // A behavior's column may be NULL, so the payload that it fills may be null.
    let created = model.event("contact_created").unwrap();
    assert!(
        created
            .payload
            .iter()
            .any(|it| it.name.snake == "created_by" && it.nullable)
    );
}

#[test]
fn the_reference_families_and_custom_fields_load_unchanged() {
    let (model, notes) = load(&[
        (
            "entities/opportunity.yaml",
            include_str!("../definitions/reference/opportunity.yaml"),
        ),
        (
            "entities/activity.yaml",
            include_str!("../definitions/reference/activity.yaml"),
        ),
        (
            "entities/knowledge_item.yaml",
            include_str!("../definitions/reference/knowledge_item.yaml"),
        ),
        DEFINITIONS,
        VALUES,
    ]);
    // Keys of other tools are noted, and nothing else is said.
    assert!(!notes.contains(['×', '⚠']), "{notes}");
    let methods = |name: &str| -> Vec<String> {
        let entity = entity(&model, name);
        let queries = entity.queries.iter().map(|it| it.name.snake.clone());
        let families = entity.families.iter().flat_map(Family::methods);
        queries.chain(families).collect()
    };
    assert_eq!(
        methods("activity"),
        [
            "list_by_opportunity_id",
            "list_by_user_id",
            "list_by_date_range",
            "list_recent_by_opportunity_id",
        ]
    );
    assert_eq!(
        methods("knowledge_item"),
        [
            "list_pending",
            "update_status",
            "update_status_many",
            "list_pending_by_opportunity_id",
        ]
    );
    assert_eq!(
        methods("field_value"),
        [
            "list_by_entity_id_and_entity_type",
            "find_by_entity_id_and_field_definition_id",
            "list_by_user_id_and_entity_type",
            "list_by_entity_id",
            "list_history_by_entity_id",
        ]
    );
    assert!(methods("field_definition").contains(&"list_by_entity_type".to_owned()));
    let opportunity = entity(&model, "opportunity");
    assert_eq!(opportunity.custom_fields.as_deref(), Some("field_value"));
    let values = entity(&model, "field_value").field_values.as_ref().unwrap();
    assert_eq!(values.definition, "field_definition");
    assert_eq!(values.key, ["entity_id", "field_definition_id"]);
    assert!(values.history && values.of_users);
}

#[test]
fn the_smallest_entity_of_the_reference_loads_unchanged() {
    let text = include_str!("../definitions/reference/account.yaml");
    let (model, notes) = load(&[("entities/account.yaml", text)]);
    assert!(!notes.contains(['×', '⚠']), "{notes}");
    assert!(notes.contains("`list_visible_to_user`"), "{notes}");
    let [family] = &*entity(&model, "account").families else {
        panic!("one family");
    };
    assert_eq!(family.methods(), ["list_by_external_ids", "sync_upsert"]);
}

#[test]
fn an_entity_takes_over_what_its_patterns_say() {
    let (model, notes) = load(&[
        (
            "entities/deal.yaml",
            "entity: { name: deal, patterns: [Scored, Tracked] }\nbehaviors: [timestamps]\nqueries: [{ by: [score] }]\n",
        ),
        (
            "patterns/scored.yaml",
            "pattern: { name: Scored }\nfields: { score: { type: integer, default: 0 } }\nbehaviors: [timestamps, soft_delete]\nqueries: [{ by: [score] }]\n",
        ),
        (
            "patterns/tracked.yaml",
            "pattern: { name: Tracked, extends: [Scored, Synced] }\nfields: { user_id: { type: uuid } }\n",
        ),
    ]);
    assert_eq!(notes, "");
    let deal = entity(&model, "deal");
    let expected = [
        "id",
        "score",
        "user_id",
        "created_at",
        "updated_at",
        "deleted_at",
        "external_id",
        "provider",
        "provider_metadata",
    ];
    assert_eq!(columns(deal), expected);
    let queries: Vec<&str> = deal
        .queries
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    assert_eq!(
        queries,
        ["list_by_score", "find_by_external_id", "list_by_user_id"]
    );
    let owner = "user_id".to_owned();
    let owner = Some(owner);
    assert_eq!(deal.families, [Family::Synced { owner }]);
}

#[test]
fn the_reference_events_load_unchanged() {
    let (model, notes) = load(&[
        ("entities/contact.yaml", "entity: { name: contact }\n"),
        (
            "events/stripe_payment_received.yaml",
            include_str!("../definitions/reference/stripe_payment_received.yaml"),
        ),
        (
            "events/webhook_outbound_contact_sync.yaml",
            include_str!("../definitions/reference/webhook_outbound_contact_sync.yaml"),
        ),
        (
            "events/crm_sync_completed.yaml",
            include_str!("../definitions/reference/crm_sync_completed.yaml"),
        ),
    ]);
    assert_eq!(notes, "");
    let payment = model.event("stripe_payment_received").unwrap();
    assert_eq!(payment.direction, Some(Direction::Inbound));
    assert_eq!(payment.source_system.as_deref(), Some("stripe"));
    assert_eq!(payment.ordering, Ordering::None);
    assert_eq!(payment.retry.unwrap().attempts, 5);
    let types: Vec<&PayloadType> = payment.payload.iter().map(|it| &it.ty).collect();
    // `date` in a payload is a point in time.
    assert_eq!(
        types,
        [
            &PayloadType::String,
            &PayloadType::String,
            &PayloadType::Number,
            &PayloadType::String,
            &PayloadType::DateTime
        ]
    );
    let sync = model.event("webhook_outbound_contact_sync").unwrap();
    assert_eq!(sync.direction, Some(Direction::Outbound));
    assert_eq!(sync.destination.as_deref(), Some("crm"));
    assert_eq!(sync.ordering, Ordering::Aggregate);
    let audit = model.event("crm_sync_completed").unwrap();
    assert_eq!(audit.tier, EventTier::Audit);
    assert_eq!(audit.direction, None);
    assert_eq!(audit.aggregate.as_deref(), Some("integration"));
}

#[test]
fn the_fixtures_load_without_a_note() {
    let (crm, notes) = fixture("crm");
    assert_eq!(notes, "");
    let won = &entity(&crm, "opportunity").emits[0];
    assert_eq!(won.on, EmitOn::Manual);
    assert_eq!(won.mapping.len(), 4);
    let (keywords, notes) = fixture("keywords");
    assert_eq!(notes, "");
    assert_eq!(keywords.entities.len(), 4);
}
