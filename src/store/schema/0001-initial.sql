-- Small facts about this database: schema_version, timezone (stored at first start), paused, restored marker.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row. `guard` exists for the fence: setting it to NULL aborts a batch of a deposed leader.
CREATE TABLE leadership (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL,
  holder TEXT NOT NULL,
  renewals INTEGER NOT NULL,
  guard INTEGER NOT NULL
);
INSERT INTO leadership (id, epoch, holder, renewals, guard) VALUES (1, 0, '', 0, 1);

-- Job definitions. A deleted job keeps its row (deleted_at) until its last occurrence is gone, so that history keeps its name.
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  displayname TEXT NOT NULL,
  version INTEGER NOT NULL,
  parent TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  schedule TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
);
CREATE UNIQUE INDEX jobs_name ON jobs (name) WHERE deleted_at IS NULL;
CREATE INDEX jobs_search ON jobs (name, displayname) WHERE deleted_at IS NULL;
CREATE INDEX jobs_parent ON jobs (parent) WHERE deleted_at IS NULL AND parent <> '';
CREATE INDEX jobs_deleted ON jobs (name) WHERE deleted_at IS NOT NULL;

-- Definitions of earlier versions, kept while an unfinished occurrence refers to them and as the newest 100 of a job.
CREATE TABLE job_versions (
  job_id INTEGER NOT NULL,
  version INTEGER NOT NULL,
  definition TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, version)
) WITHOUT ROWID;

-- What changes with every run, apart from the wide definition. cursor_at: everything up to and including it has been decided.
-- next_at: next instant to look at (null: none), derived from cursor_at; anchor_at: phase of @every. Epoch milliseconds.
-- version repeats jobs.version here, where every launch checks it: a launch planned from an older definition writes nothing.
CREATE TABLE job_state (
  job_id INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  cursor_at INTEGER NOT NULL,
  next_at INTEGER,
  anchor_at INTEGER NOT NULL,
  success_count INTEGER NOT NULL,
  error_count INTEGER NOT NULL,
  last_success_at INTEGER,
  last_error_at INTEGER,
  status TEXT NOT NULL
);

-- One row per occurrence, or per range of consecutive dropped ones (last_at, count). Codes: model/occurrence.ts.
-- dedup is 0 for scheduled occurrences (identity: job and nominal instant), else the group itself.
CREATE TABLE occurrences (
  group_id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL,
  job_version INTEGER NOT NULL,
  trigger INTEGER NOT NULL,
  nominal_at INTEGER NOT NULL,
  dedup INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  parent_group INTEGER,
  phase INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  wake_at INTEGER,
  finished_at INTEGER,
  last_at INTEGER,
  count INTEGER NOT NULL,
  forced INTEGER NOT NULL
);
CREATE UNIQUE INDEX occurrences_identity ON occurrences (job_id, nominal_at, dedup);
CREATE UNIQUE INDEX occurrences_parent ON occurrences (parent_group, job_id) WHERE parent_group IS NOT NULL;
CREATE INDEX occurrences_open ON occurrences (job_id, phase) WHERE phase > 0;
CREATE INDEX occurrences_outcome ON occurrences (outcome, nominal_at) WHERE outcome > 0;

-- One row per attempt on one node. Instants in epoch microseconds. finished_at_us is null until the result is committed.
CREATE TABLE executions (
  key INTEGER PRIMARY KEY,
  group_id INTEGER NOT NULL,
  job_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  relaunch INTEGER NOT NULL,
  node TEXT NOT NULL,
  started_at_us INTEGER,
  finished_at_us INTEGER,
  outcome INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  exit_code INTEGER,
  signal TEXT,
  message TEXT,
  output_bytes INTEGER NOT NULL,
  log_bytes INTEGER NOT NULL
);
CREATE INDEX executions_group ON executions (group_id);

-- Output tails, apart so that history queries do not drag them along.
CREATE TABLE outputs (key INTEGER PRIMARY KEY, tail TEXT NOT NULL);

-- Results of executions this database does not know (after a restore): kept, never applied.
CREATE TABLE orphan_results (key INTEGER PRIMARY KEY, seen_at INTEGER NOT NULL, result TEXT NOT NULL);

-- Dkron's /v1/stats: finished executions per UTC day (epoch day number).
CREATE TABLE daily_stats (day INTEGER PRIMARY KEY, success INTEGER NOT NULL, failed INTEGER NOT NULL);

-- Calendars shared between jobs by name.
CREATE TABLE calendars (name TEXT PRIMARY KEY, definition TEXT NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;

-- Logs still on disk, for their limits: oldest of a job, oldest of all.
CREATE INDEX executions_job_logs ON executions (job_id, key) WHERE log_bytes > 0;
CREATE INDEX executions_logs ON executions (key) WHERE log_bytes > 0;
