-- Times are microseconds since 1970, ids are uuid v7 (16 bytes), hashes are BLAKE3 (32 bytes).

-- One row for each content that some picture refers to. `generation` names the stored copy.
CREATE TABLE blobs (
    hash        BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    generation  BLOB    NOT NULL,
    refs        INTEGER NOT NULL CHECK (refs > 0),
    UNIQUE (hash, generation)
) STRICT;

CREATE TABLE images (
    id          BLOB    NOT NULL PRIMARY KEY,
    owner       TEXT    NOT NULL,
    hash        BLOB    NOT NULL REFERENCES blobs (hash),
    title       TEXT,
    format      TEXT    NOT NULL,
    width       INTEGER NOT NULL CHECK (width > 0),
    height      INTEGER NOT NULL CHECK (height > 0),
    alpha       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL CHECK (bytes > 0),
    color       INTEGER NOT NULL CHECK (color BETWEEN 0 AND 16777215),
    created_at  INTEGER NOT NULL,
    UNIQUE (hash, owner)
) STRICT;

CREATE INDEX images_newest ON images (owner, created_at DESC, id DESC);

CREATE TABLE tags (
    image       BLOB    NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag         TEXT    NOT NULL,
    PRIMARY KEY (image, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_tag ON tags (tag, image);

-- Stored renders. They belong to a copy, and go with it.
CREATE TABLE variants (
    hash        BLOB    NOT NULL,
    generation  BLOB    NOT NULL,
    preset      TEXT    NOT NULL,
    format      TEXT    NOT NULL,
    width       INTEGER NOT NULL CHECK (width > 0),
    height      INTEGER NOT NULL CHECK (height > 0),
    bytes       INTEGER NOT NULL CHECK (bytes > 0),
    PRIMARY KEY (hash, preset, format),
    FOREIGN KEY (hash, generation) REFERENCES blobs (hash, generation) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- `due_at`: not before (queued), or the end of the lease (running). `lease` names the claim.
CREATE TABLE jobs (
    id          BLOB    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL,
    lease       BLOB,
    worker      TEXT,
    traceparent TEXT,
    error       TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_due ON jobs (due_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_open ON jobs (kind, created_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_dead ON jobs (kind) WHERE state = 'dead';
CREATE INDEX jobs_done ON jobs (updated_at) WHERE state = 'done';
