-- The pages of a plan of many tasks, which is not kept in task_output: the first one (0) is the discovery
-- without its plan; each of the others holds tasks from the number `first` on, as [{spec, depends_on}, …].
CREATE TABLE task_plan (
    task_id INTEGER NOT NULL REFERENCES task (id),
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    first   INTEGER NOT NULL CHECK (first >= 0),
    body    TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (task_id, attempt, first)
) STRICT;
