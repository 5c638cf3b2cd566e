-- Passwords of CPEs are kept as H(A1) of RFC 7616 with MD5 and the realm of the mini-ACS: enough for Basic and Digest.
-- The program fills it from the passwords that schema 1 had, and drops these.
ALTER TABLE credentials ADD COLUMN key TEXT NOT NULL DEFAULT '';

-- 1: waits for the device's session since a BOOTSTRAP that was acknowledged.
ALTER TABLE service_instances ADD COLUMN due INTEGER NOT NULL DEFAULT 0;

-- Messages that people queued for a device; those of scripts die with their script.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    serial_number TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    method TEXT NOT NULL,
    -- The envelope as it was given.
    message TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'done', 'failed', 'withdrawn')),
    -- JSON: the answer, or the fault.
    result TEXT NOT NULL DEFAULT 'null',
    created TEXT NOT NULL DEFAULT (datetime('now')),
    updated TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX tasks_of_device ON tasks (serial_number, id);

-- What devices told; the last thousand of each.
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    serial_number TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    at TEXT NOT NULL DEFAULT (datetime('now')),
    -- The method.
    method TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX history_of_device ON history (serial_number, id);

-- For Download, and what came of Upload.
CREATE TABLE files (
    name TEXT PRIMARY KEY NOT NULL,
    -- 1: a CPE sent it.
    uploaded INTEGER NOT NULL,
    content BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    created TEXT NOT NULL DEFAULT (datetime('now'))
);
