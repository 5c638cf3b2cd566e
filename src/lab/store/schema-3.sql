-- What people put by the control: scripts of the Scripts environment, and profiles.
CREATE TABLE scripts (
    name TEXT PRIMARY KEY NOT NULL,
    text TEXT NOT NULL,
    -- 1: it ran, and is to run again in the next mini-ACS.
    wanted INTEGER NOT NULL DEFAULT 1,
    updated TEXT NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE profiles (
    name TEXT PRIMARY KEY NOT NULL,
    text TEXT NOT NULL,
    updated TEXT NOT NULL DEFAULT (datetime('now'))
);
