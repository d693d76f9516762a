-- Times are microseconds since 1970, ids are uuid v7, hashes are BLAKE3 (32 bytes).

-- One row for each content that some picture refers to. `generation` names the stored copy.
CREATE TABLE blobs (
    hash        BYTEA   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    generation  UUID    NOT NULL,
    refs        BIGINT  NOT NULL CHECK (refs > 0),
    UNIQUE (hash, generation)
);

CREATE TABLE images (
    id          UUID    NOT NULL PRIMARY KEY,
    owner       TEXT    NOT NULL,
    hash        BYTEA   NOT NULL REFERENCES blobs (hash),
    title       TEXT,
    format      TEXT    NOT NULL,
    width       BIGINT  NOT NULL CHECK (width > 0),
    height      BIGINT  NOT NULL CHECK (height > 0),
    alpha       BOOLEAN NOT NULL,
    bytes       BIGINT  NOT NULL CHECK (bytes > 0),
    color       BIGINT  NOT NULL CHECK (color BETWEEN 0 AND 16777215),
    created_at  BIGINT  NOT NULL,
    UNIQUE (hash, owner)
);

CREATE INDEX images_newest ON images (owner, created_at DESC, id DESC);

CREATE TABLE tags (
    image       UUID    NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag         TEXT    NOT NULL,
    PRIMARY KEY (image, tag)
);

CREATE INDEX tags_by_tag ON tags (tag, image);

-- Stored renders. They belong to a copy, and go with it.
CREATE TABLE variants (
    hash        BYTEA   NOT NULL,
    generation  UUID    NOT NULL,
    preset      TEXT    NOT NULL,
    format      TEXT    NOT NULL,
    width       BIGINT  NOT NULL CHECK (width > 0),
    height      BIGINT  NOT NULL CHECK (height > 0),
    bytes       BIGINT  NOT NULL CHECK (bytes > 0),
    PRIMARY KEY (hash, preset, format),
    FOREIGN KEY (hash, generation) REFERENCES blobs (hash, generation) ON DELETE CASCADE
);

-- `due_at`: not before (queued), or the end of the lease (running). `lease` names the claim.
CREATE TABLE jobs (
    id          UUID    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempts    BIGINT  NOT NULL DEFAULT 0,
    due_at      BIGINT  NOT NULL,
    lease       UUID,
    worker      TEXT,
    traceparent TEXT,
    error       TEXT,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);

CREATE INDEX jobs_due ON jobs (due_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_open ON jobs (kind, created_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_dead ON jobs (kind) WHERE state = 'dead';
CREATE INDEX jobs_done ON jobs (updated_at) WHERE state = 'done';
