-- The mini-ACS's store. Times are UTC, "YYYY-MM-DD hh:mm:ss"; JSON stands where the column says so.
CREATE TABLE devices (
    serial_number TEXT PRIMARY KEY NOT NULL,
    oui TEXT NOT NULL DEFAULT '',
    product_class TEXT NOT NULL DEFAULT '',
    manufacturer TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    data_model TEXT NOT NULL DEFAULT '' CHECK (data_model IN ('', 'Device', 'InternetGatewayDevice')),
    connection_request_url TEXT NOT NULL DEFAULT '',
    connection_request_username TEXT NOT NULL DEFAULT '',
    connection_request_password TEXT NOT NULL DEFAULT '',
    first_contact TEXT,
    last_contact TEXT
);

-- Values as last heard of, from Informs and from answers.
CREATE TABLE parameters (
    serial_number TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT '',
    updated TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (serial_number, name)
) WITHOUT ROWID;

-- What scripts made with create_or_update_device_credential; the user name with its prefix.
CREATE TABLE credentials (
    username TEXT PRIMARY KEY NOT NULL,
    password TEXT NOT NULL,
    created TEXT NOT NULL DEFAULT (datetime('now')),
    updated TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE service_definitions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    script TEXT NOT NULL,
    -- JSON: [{"name", "description", "type", "required"}]
    variables TEXT NOT NULL DEFAULT '[]',
    available INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE service_instances (
    id INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    service_id INTEGER NOT NULL REFERENCES service_definitions ON DELETE CASCADE,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'provisioned', 'failed')),
    -- Why it failed.
    reason TEXT NOT NULL DEFAULT '',
    -- JSON: {"name": value}
    variables TEXT NOT NULL DEFAULT '{}',
    created TEXT NOT NULL DEFAULT (datetime('now')),
    updated TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX instances_of_device ON service_instances (device_id, status);

-- What the scripts printed and what became of their messages.
CREATE TABLE instance_log (
    id INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL REFERENCES service_instances ON DELETE CASCADE,
    at TEXT NOT NULL DEFAULT (datetime('now')),
    line TEXT NOT NULL
);
CREATE INDEX log_of_instance ON instance_log (instance_id, id);
