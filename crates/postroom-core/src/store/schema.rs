//! Every table as diesel sees it, for both databases. A test holds it against them.

diesel::table! {
    settings (key) {
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    blobs (hash) {
        hash -> Text,
        size -> BigInt,
        encoding -> Text,
        content -> Nullable<Binary>,
        object -> Nullable<Text>,
        unused_since -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    mailboxes (id) {
        id -> BigInt,
        name -> Text,
        address -> Text,
        aliases -> Text,
        share_group -> Text,
        poll_interval_seconds -> Integer,
        source -> Text,
        source_password -> Nullable<Binary>,
        delivery -> Text,
        delivery_password -> Nullable<Binary>,
        strangers -> Text,
        trusted_authserv_ids -> Text,
        relay_addresses -> Text,
        sent_copy -> Text,
        on_uncertain -> Text,
        undo_seconds -> Integer,
        paused -> Bool,
        is_configured -> Bool,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    mailbox_authorizations (mailbox_id) {
        mailbox_id -> BigInt,
        provider -> Text,
        grant_type -> Text,
        client_id -> Text,
        client_secret -> Nullable<Binary>,
        tenant -> Nullable<Text>,
        scopes -> Text,
        state -> Text,
        refresh_token -> Nullable<Binary>,
        access_token -> Nullable<Binary>,
        expires_at -> Nullable<BigInt>,
        refresh_at -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
        failures -> Integer,
        retry_at -> Nullable<BigInt>,
        claimed_until -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    authorization_flows (mailbox_id) {
        mailbox_id -> BigInt,
        token -> Text,
        provider -> Text,
        grant_type -> Text,
        client_id -> Text,
        client_secret -> Nullable<Binary>,
        tenant -> Nullable<Text>,
        scopes -> Text,
        secret -> Binary,
        state_hash -> Nullable<Text>,
        redirect_uri -> Nullable<Text>,
        poll_seconds -> Nullable<Integer>,
        next_poll_at -> Nullable<BigInt>,
        expires_at -> BigInt,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    login_refusals (mailbox_id, login_end) {
        mailbox_id -> BigInt,
        login_end -> Text,
        refusals -> Integer,
        retry_at -> BigInt,
        error -> Text,
    }
}

diesel::table! {
    mailbox_states (mailbox_id) {
        mailbox_id -> BigInt,
        last_attempt_at -> Nullable<BigInt>,
        last_success_at -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
        failing_since -> Nullable<BigInt>,
        sync_requested_at -> Nullable<BigInt>,
        polled_version -> Nullable<BigInt>,
        failures -> Integer,
        trouble -> Nullable<Text>,
        retry_at -> Nullable<BigInt>,
        error_raised_at -> Nullable<BigInt>,
        accepted -> BigInt,
        duplicates -> BigInt,
        failed -> BigInt,
        reconciled_at -> Nullable<BigInt>,
        missing -> Nullable<BigInt>,
    }
}

diesel::table! {
    leases (mailbox_id) {
        mailbox_id -> BigInt,
        owner -> Nullable<Text>,
        fence -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    folders (mailbox_id, name) {
        mailbox_id -> BigInt,
        name -> Text,
        uidvalidity -> BigInt,
        generation -> Integer,
        last_uid -> BigInt,
        wanted_since -> Nullable<BigInt>,
        history_before -> Nullable<BigInt>,
    }
}

diesel::table! {
    pending_mails (mailbox_id, folder, uidvalidity, uid) {
        mailbox_id -> BigInt,
        folder -> Text,
        uidvalidity -> BigInt,
        uid -> BigInt,
        size -> BigInt,
        attempts -> Integer,
        breaks -> Integer,
        last_error -> Nullable<Text>,
        asked_for -> Bool,
        next_try_at -> BigInt,
        was_aside -> Bool,
        unseen -> Bool,
        found_anew -> Bool,
        was_there -> Bool,
    }
}

diesel::table! {
    mail_actions (mailbox_id, folder, uidvalidity, uid) {
        mailbox_id -> BigInt,
        folder -> Text,
        uidvalidity -> BigInt,
        uid -> BigInt,
        action -> Text,
        due_at -> BigInt,
    }
}

diesel::table! {
    roles (id) {
        id -> BigInt,
        name -> Text,
        name_folded -> Text,
        scopes -> Text,
        sees_all -> Bool,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    agents (id) {
        id -> BigInt,
        name -> Text,
        email -> Text,
        email_folded -> Text,
        role -> Text,
        custom_role_id -> Nullable<BigInt>,
        signature -> Nullable<Text>,
        bounce_notices -> Bool,
        disabled_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    teams (id) {
        id -> BigInt,
        name -> Text,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    team_members (team_id, agent_id) {
        team_id -> BigInt,
        agent_id -> BigInt,
        is_lead -> Bool,
    }
}

diesel::table! {
    categories (id) {
        id -> BigInt,
        name -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    schedules (id) {
        id -> BigInt,
        name -> Text,
        time_zone -> Text,
        hours -> Text,
        holidays -> Text,
        closings -> Text,
        calendar -> Nullable<Text>,
        calendar_until -> Nullable<BigInt>,
        public_key -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    mailbox_auto_replies (mailbox_id) {
        mailbox_id -> BigInt,
        acknowledge -> Bool,
        out_of_hours -> Bool,
        schedule_id -> Nullable<BigInt>,
        default_language -> Text,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    auto_reply_texts (mailbox_id, kind, language) {
        mailbox_id -> BigInt,
        kind -> Text,
        language -> Text,
        subject -> Nullable<Text>,
        body -> Text,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    grants (id) {
        id -> BigInt,
        agent_id -> Nullable<BigInt>,
        team_id -> Nullable<BigInt>,
        mailbox_id -> BigInt,
        category_id -> Nullable<BigInt>,
        assigned_only -> Bool,
        level -> Text,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        kind -> Text,
        name -> Text,
        secret_hash -> Text,
        previous_hash -> Nullable<Text>,
        previous_until -> Nullable<BigInt>,
        agent_id -> Nullable<BigInt>,
        scopes -> Text,
        mailbox_ids -> Nullable<Text>,
        allowed_networks -> Nullable<Text>,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        signed_in_from -> Nullable<Text>,
        signed_in_with -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    agent_passwords (agent_id) {
        agent_id -> BigInt,
        hash -> Text,
        changed_at -> BigInt,
    }
}

diesel::table! {
    agent_totp (agent_id) {
        agent_id -> BigInt,
        secret -> Binary,
        confirmed_at -> Nullable<BigInt>,
        last_step -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    recovery_codes (hash) {
        hash -> Text,
        agent_id -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    one_time_secrets (hash) {
        hash -> Text,
        agent_id -> BigInt,
        purpose -> Text,
        expires_at -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    sign_in_tries (id) {
        id -> BigInt,
        who -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    customers (id) {
        id -> BigInt,
        name -> Nullable<Text>,
        name_folded -> Text,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    customer_addresses (id) {
        id -> BigInt,
        customer_id -> BigInt,
        email -> Text,
        email_folded -> Text,
        confirmed_at -> Nullable<BigInt>,
        undeliverable_at -> Nullable<BigInt>,
        complained_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    customer_phones (id) {
        id -> BigInt,
        customer_id -> BigInt,
        phone -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    conversations (id) {
        id -> BigInt,
        mailbox_id -> BigInt,
        customer_id -> BigInt,
        subject -> Text,
        status -> Text,
        priority -> Text,
        channel -> Text,
        assignee_id -> Nullable<BigInt>,
        team_id -> Nullable<BigInt>,
        category_id -> Nullable<BigInt>,
        waiting_on -> Nullable<Text>,
        waiting_since -> Nullable<BigInt>,
        snoozed_until -> Nullable<BigInt>,
        message_count -> Integer,
        last_message_id -> Nullable<BigInt>,
        last_message_at -> BigInt,
        merged_into -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        closed_at -> Nullable<BigInt>,
        deleted_at -> Nullable<BigInt>,
        external_source -> Nullable<Text>,
        external_id -> Nullable<Text>,
    }
}

diesel::table! {
    conversation_links (conversation_id, related_id) {
        conversation_id -> BigInt,
        related_id -> BigInt,
        reason -> Text,
        message_id -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    participants (conversation_id, email_folded) {
        conversation_id -> BigInt,
        email_folded -> Text,
        class -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    messages (id) {
        id -> BigInt,
        conversation_id -> BigInt,
        mailbox_id -> BigInt,
        kind -> Text,
        class -> Text,
        author_type -> Text,
        author_id -> Nullable<BigInt>,
        author_name -> Nullable<Text>,
        sender -> Nullable<Text>,
        recipients -> Text,
        subject -> Text,
        content -> Text,
        reply_content -> Nullable<Text>,
        text_parts -> Text,
        has_html -> Bool,
        internet_message_id -> Nullable<Text>,
        thread_index -> Nullable<Text>,
        fingerprint -> Nullable<Binary>,
        raw_hash -> Nullable<Text>,
        raw_size -> Nullable<BigInt>,
        sender_auth -> Text,
        flags -> Text,
        signals -> Text,
        threading -> Nullable<Text>,
        failed_recipients -> Text,
        about_message_id -> Nullable<BigInt>,
        side_id -> Nullable<BigInt>,
        sent_at -> Nullable<BigInt>,
        released_at -> Nullable<BigInt>,
        received_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    imported_messages (message_id) {
        message_id -> BigInt,
        imported_at -> BigInt,
    }
}

diesel::table! {
    rfc_ids (share_group, rfc_id, conversation_id) {
        share_group -> Text,
        rfc_id -> Text,
        conversation_id -> BigInt,
        message_id -> Nullable<BigInt>,
        kind -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    transfers (id) {
        id -> BigInt,
        reason -> Text,
        from_id -> BigInt,
        to_id -> BigInt,
        details -> Text,
        created_at -> BigInt,
        undone_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    ledger (id) {
        id -> BigInt,
        mailbox_id -> BigInt,
        folder -> Text,
        location -> Text,
        uid -> Nullable<BigInt>,
        verdict -> Text,
        reason -> Nullable<Text>,
        message_id -> Nullable<BigInt>,
        raw_hash -> Nullable<Text>,
        size -> BigInt,
        internal_date -> Nullable<BigInt>,
        next_try_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    attachments (id) {
        id -> Text,
        message_id -> Nullable<BigInt>,
        part -> Nullable<Integer>,
        blob_hash -> Nullable<Text>,
        filename -> Text,
        content_type -> Text,
        size -> BigInt,
        inline -> Bool,
        content_id -> Nullable<Text>,
        token_id -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    tags (id) {
        id -> BigInt,
        name -> Text,
        name_folded -> Text,
        description -> Text,
        color -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    conversation_tags (conversation_id, tag_id) {
        conversation_id -> BigInt,
        tag_id -> BigInt,
    }
}

diesel::table! {
    custom_fields (id) {
        id -> BigInt,
        object -> Text,
        key -> Text,
        title -> Text,
        description -> Text,
        kind -> Text,
        pattern -> Nullable<Text>,
        choices -> Text,
        required_on_close -> Bool,
        position -> Integer,
        archived_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    conversation_field_values (conversation_id, field_id, place) {
        conversation_id -> BigInt,
        field_id -> BigInt,
        place -> Integer,
        written -> Nullable<Text>,
        sought -> Nullable<Text>,
        number -> Nullable<BigInt>,
    }
}

diesel::table! {
    customer_field_values (customer_id, field_id, place) {
        customer_id -> BigInt,
        field_id -> BigInt,
        place -> Integer,
        written -> Nullable<Text>,
        sought -> Nullable<Text>,
        number -> Nullable<BigInt>,
    }
}

diesel::table! {
    views (id) {
        id -> BigInt,
        owner_id -> Nullable<BigInt>,
        team_id -> Nullable<BigInt>,
        visibility -> Text,
        name -> Text,
        query -> Text,
        sort -> Text,
        shown_columns -> Text,
        position -> Integer,
        color -> Nullable<Text>,
        icon -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    unsent (message_id) {
        message_id -> BigInt,
        state -> Text,
        writing -> Text,
        leaves_at -> Nullable<BigInt>,
        reason -> Nullable<Text>,
        updated_at -> BigInt,
    }
}

diesel::table! {
    wanted_answers (message_id) {
        message_id -> BigInt,
        hints -> Text,
    }
}

diesel::table! {
    automatic_mails (id) {
        id -> BigInt,
        mailbox_id -> BigInt,
        conversation_id -> BigInt,
        recipient -> Text,
        domain -> Text,
        rule -> Text,
        held -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    presences (conversation_id, agent_id) {
        conversation_id -> BigInt,
        agent_id -> BigInt,
        state -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    availabilities (agent_id) {
        agent_id -> BigInt,
        state -> Text,
        until -> Nullable<BigInt>,
        schedule_id -> Nullable<BigInt>,
        open_limit -> Nullable<Integer>,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    absences (id) {
        id -> BigInt,
        agent_id -> BigInt,
        starts_at -> BigInt,
        ends_at -> BigInt,
        reassign -> Bool,
        note -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    distributions (team_id) {
        team_id -> BigInt,
        method -> Text,
        open_limit -> Nullable<Integer>,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    distribution_turns (team_id, agent_id) {
        team_id -> BigInt,
        agent_id -> BigInt,
        given_at -> BigInt,
    }
}

diesel::table! {
    mailbox_routings (mailbox_id) {
        mailbox_id -> BigInt,
        team_id -> Nullable<BigInt>,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    watchdogs (id) {
        id -> BigInt,
        name -> Text,
        query -> Text,
        wait_seconds -> Integer,
        schedule_id -> Nullable<BigInt>,
        steps -> Text,
        enabled -> Bool,
        state -> Text,
        alarmed_at -> Nullable<BigInt>,
        acknowledged_by -> Nullable<Text>,
        steps_told -> Integer,
        turn -> BigInt,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    log_readers (name) {
        name -> Text,
        position -> BigInt,
    }
}

diesel::table! {
    notifications (id) {
        id -> BigInt,
        agent_id -> BigInt,
        seq -> BigInt,
        reason -> Text,
        conversation_id -> BigInt,
        message_id -> Nullable<BigInt>,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        actor_name -> Nullable<Text>,
        read_at -> Nullable<BigInt>,
        mailed_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    notification_settings (agent_id) {
        agent_id -> BigInt,
        muted -> Text,
        mailed -> Text,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    mentions (message_id, agent_id) {
        message_id -> BigInt,
        agent_id -> BigInt,
    }
}

diesel::table! {
    followers (conversation_id, agent_id) {
        conversation_id -> BigInt,
        agent_id -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    read_marks (agent_id, conversation_id) {
        agent_id -> BigInt,
        conversation_id -> BigInt,
        message_id -> BigInt,
        read_at -> BigInt,
    }
}

diesel::table! {
    round_trips (id) {
        id -> BigInt,
        mailbox_id -> BigInt,
        test_id -> Text,
        way -> Text,
        address -> Text,
        outbox_id -> Nullable<BigInt>,
        asked_at -> BigInt,
        arrived_at -> Nullable<BigInt>,
        received_at -> Nullable<BigInt>,
        folder -> Nullable<Text>,
        authentication -> Nullable<Text>,
        failure -> Nullable<Text>,
    }
}

diesel::table! {
    outbox (id) {
        id -> BigInt,
        message_id -> Nullable<BigInt>,
        mailbox_id -> BigInt,
        state -> Text,
        raw_hash -> Text,
        envelope_from -> Text,
        recipients -> Text,
        attempts -> Integer,
        next_attempt_at -> BigInt,
        claimed_until -> Nullable<BigInt>,
        data_sent_at -> Nullable<BigInt>,
        captured -> Bool,
        response -> Nullable<Text>,
        last_error -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        may_be_double -> Bool,
        delayed_at -> Nullable<BigInt>,
        tried_from -> Nullable<BigInt>,
        waited_seconds -> BigInt,
        copy_state -> Nullable<Text>,
        copy_attempts -> Integer,
        copy_next_at -> Nullable<BigInt>,
        copy_error -> Nullable<Text>,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        #[sql_name = "type"]
        kind -> Text,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        actor_name -> Nullable<Text>,
        mailbox_id -> Nullable<BigInt>,
        conversation_id -> Nullable<BigInt>,
        message_id -> Nullable<BigInt>,
        customer_id -> Nullable<BigInt>,
        data -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    purged_mails (mailbox_id, digest) {
        mailbox_id -> BigInt,
        digest -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    bursts (email_folded) {
        email_folded -> Text,
        since -> BigInt,
        mails -> Integer,
    }
}

diesel::table! {
    idempotency_keys (token_id, key) {
        token_id -> Text,
        key -> Text,
        request_hash -> Text,
        answer -> Nullable<Binary>,
        created_at -> BigInt,
    }
}

diesel::table! {
    mailbox_outgoing (mailbox_id) {
        mailbox_id -> BigInt,
        from_name -> Text,
        signature -> Nullable<Text>,
        head -> Nullable<Text>,
        foot -> Nullable<Text>,
        quote_history -> Bool,
        version -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    mailbox_logos (mailbox_id) {
        mailbox_id -> BigInt,
        content_type -> Text,
        alt -> Nullable<Text>,
        content_id -> Text,
        content -> Binary,
    }
}

diesel::table! {
    search_chunks (conversation_id, chunk) {
        conversation_id -> BigInt,
        chunk -> Integer,
        first_message_id -> BigInt,
    }
}

diesel::table! {
    search_stale (conversation_id) {
        conversation_id -> BigInt,
    }
}

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        kind -> Text,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        details -> Nullable<Text>,
        salt -> Nullable<Text>,
        details_hash -> Text,
        hash -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    webhooks (id) {
        id -> BigInt,
        name -> Text,
        url -> Text,
        event_types -> Nullable<Text>,
        mailbox_ids -> Nullable<Text>,
        tag_ids -> Nullable<Text>,
        body -> Text,
        secret -> Binary,
        previous_secret -> Nullable<Binary>,
        previous_until -> Nullable<BigInt>,
        position -> BigInt,
        disabled_at -> Nullable<BigInt>,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<BigInt>,
        last_success_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (number) {
        number -> BigInt,
        id -> Text,
        webhook_id -> BigInt,
        seq -> Nullable<BigInt>,
        event_type -> Text,
        conversation_id -> Nullable<BigInt>,
        payload -> Text,
        state -> Text,
        attempts -> Integer,
        tries -> Integer,
        passed -> Integer,
        next_at -> BigInt,
        claimed_until -> Nullable<BigInt>,
        last_attempt_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_attempts (id) {
        id -> BigInt,
        delivery_id -> Text,
        number -> Integer,
        started_at -> BigInt,
        duration_ms -> BigInt,
        status -> Nullable<Integer>,
        error -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    jobs (number) {
        number -> BigInt,
        id -> Text,
        kind -> Text,
        status -> Text,
        token_id -> Text,
        agent_id -> Nullable<BigInt>,
        actor_name -> Text,
        task -> Text,
        dry_run -> Bool,
        selecting -> Bool,
        selected_up_to -> Nullable<BigInt>,
        total -> BigInt,
        succeeded -> BigInt,
        changed -> BigInt,
        failed -> BigInt,
        reason -> Nullable<Text>,
        version -> BigInt,
        created_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    job_items (id) {
        id -> BigInt,
        job_id -> Text,
        conversation_id -> BigInt,
        state -> Text,
        code -> Nullable<Text>,
        detail -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    settings,
    blobs,
    mailboxes,
    mailbox_authorizations,
    authorization_flows,
    login_refusals,
    mailbox_states,
    mailbox_outgoing,
    mailbox_logos,
    leases,
    folders,
    pending_mails,
    mail_actions,
    roles,
    agents,
    teams,
    team_members,
    categories,
    schedules,
    mailbox_auto_replies,
    auto_reply_texts,
    grants,
    tokens,
    agent_passwords,
    agent_totp,
    recovery_codes,
    one_time_secrets,
    sign_in_tries,
    customers,
    customer_addresses,
    customer_phones,
    conversations,
    conversation_links,
    participants,
    messages,
    rfc_ids,
    transfers,
    ledger,
    attachments,
    tags,
    conversation_tags,
    custom_fields,
    conversation_field_values,
    customer_field_values,
    views,
    unsent,
    wanted_answers,
    automatic_mails,
    presences,
    availabilities,
    absences,
    distributions,
    distribution_turns,
    mailbox_routings,
    watchdogs,
    imported_messages,
    log_readers,
    notifications,
    notification_settings,
    mentions,
    followers,
    read_marks,
    round_trips,
    outbox,
    events,
    audit_log,
    webhooks,
    webhook_deliveries,
    webhook_attempts,
    jobs,
    job_items,
    purged_mails,
    bursts,
    idempotency_keys,
    search_chunks,
    search_stale,
);

diesel::joinable!(agents -> roles (custom_role_id));
diesel::joinable!(webhook_deliveries -> webhooks (webhook_id));
diesel::joinable!(messages -> conversations (conversation_id));
diesel::joinable!(unsent -> messages (message_id));
diesel::joinable!(outbox -> messages (message_id));
diesel::joinable!(outbox -> mailboxes (mailbox_id));
diesel::joinable!(conversation_tags -> tags (tag_id));
diesel::joinable!(conversation_tags -> conversations (conversation_id));
diesel::joinable!(conversation_field_values -> custom_fields (field_id));
diesel::joinable!(customer_field_values -> custom_fields (field_id));
diesel::joinable!(customer_addresses -> customers (customer_id));
diesel::joinable!(mailbox_states -> mailboxes (mailbox_id));
diesel::joinable!(ledger -> messages (message_id));
diesel::joinable!(attachments -> messages (message_id));
diesel::joinable!(rfc_ids -> conversations (conversation_id));
