"""The commands of `quledger`: where each is, and what it does."""

COMMANDS = {
    "submit": ("submitting:submit", "Hand in a job and print its id; or a sweep, a job for each row of a table."),
    "check": (
        "checking:check",
        "Check job documents as `submit` does, and store nothing.",
    ),
    "wait": ("following:wait", "Wait until jobs have ended; end with code 1 if one of them did not end in DONE."),
    "watch": ("following:watch", "Show jobs as they change: those that are named, or all there are. Ctrl-C ends it."),
    "label": ("labelling:label", "Set labels of a job, and take others away."),
    "group": (
        "grouping:group",
        "Show a group of jobs: its states, results, a figure; without a name list the groups.",
    ),
    "status": ("jobs:status", "Show where a job stands."),
    "why": (
        "why:why",
        "Show why a job stands where it does: its place in line, what holds it, when it is expected to start and end.",
    ),
    "result": ("results:result", "Show the result of a job: a histogram for each experiment."),
    "history": ("jobs:history", "Show every event of a job."),
    "retry": ("acts:retry", "Give a job that ended in ERROR through no fault of its own another chance."),
    "diff": (
        "comparing:diff",
        "Show in what two jobs differ: document, backend, program, calibration, versions, and their results.",
    ),
    "rerun": (
        "rerunning:rerun",
        "Hand in the document of a job again, as a new job that is derived from it, and print its id.",
    ),
    "cancel": (
        "acts:cancel",
        "Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.",
    ),
    "list": ("jobs:list_jobs", "List jobs, newest first."),
    "pause": (
        "pauses:pause",
        "Pause a backend: nothing of it begins any more, and jobs are still taken.",
    ),
    "resume": ("pauses:resume", "Serve a backend again that is paused; one that is not stays as it is."),
    "results": (
        "calibrations:results",
        "List the jobs whose results stand on a calibration, or on one that was withdrawn, newest first.",
    ),
    "export": (
        "exporting:export",
        "Write jobs into an archive that proves itself, or jobs, events or results into Parquet files.",
    ),
    "schema": ("schemas:schema", "Print the JSON Schema of a document; without a name list what there is."),
    "verify-archive": (
        "archives:verify_archive",
        "Check an archive of jobs by itself: every byte, the chain of each history, each hash, each signature.",
    ),
    "drain": (
        "serving:drain",
        "Serve the queues: take jobs from the storage and run each as a Prefect flow run.",
    ),
    "up": (
        "serving:up",
        "Serve everything: Prefect's server and UI, all deployments, their schedules. Ctrl-C stops it.",
    ),
    "serve": ("serving:serve", "Serve the HTTP API and the pages for people. Ctrl-C stops it."),
    "worker": (
        "serving:worker",
        "Serve the deployments of the Prefect server that PREFECT_API_URL names: jobs, drains, schedules.",
    ),
    "reconcile": (
        "reconcile:reconcile",
        "Bring right what a crash left behind: expired leases, documents that do not follow the log.",
    ),
    "verify": (
        "audit:verify",
        "Compare the log with itself, its views, the storage and Prefect; end with code 3 if anything differs.",
    ),
    "health": (
        "health:health",
        "Ask all parts of the laboratory how they are, and say what is down; end with code 1 if something is.",
    ),
    "prune": (
        "audit:prune",
        (
            "Delete old runs in Prefect's own database, which PREFECT_API_URL names."
            " The event log keeps all of its history."
        ),
    ),
    "retention": (
        "retention:retention",
        ("Show which results and payloads are older than they are kept; with `--apply`, remove them. Histories stay."),
    ),
    "rebuild": (
        "audit:rebuild",
        "Make the views of the log anew from its events; nothing else is changed. Stop the drains before.",
    ),
    "adopt": (
        "adopting:adopt",
        (
            "Show which jobs of a store the log does not know, and what would become of them; with `--apply`, take them"
            " over."
        ),
    ),
    "restore": (
        "audit:restore",
        "Bring the log up to the histories in the storages: an empty one gets all of them, or nothing.",
    ),
    "config": (
        "config:config",
        "Print all settings, without secrets; each one is the environment variable `QULEDGER_<NAME>`.",
    ),
    "storages": (
        "storages:storages",
        "Connect to each storage, and see whether it takes what a job writes.",
    ),
    "demo": (
        "demo:demo",
        "Submit seven real jobs to the four simulators of atoms, two of them bad, run them, and show what came out.",
    ),
}
"""Command -> the function below `deployments.cli` that does it, and the line about it in the help."""

KEY_COMMANDS = {
    "new": ("keys:new", "Make the first key, and publish its public part."),
    "rotate": (
        "keys:rotate",
        (
            "Replace a key: a new one signs from now on. What the old one signed stays valid;"
            " its private part is destroyed."
        ),
    ),
    "show": ("keys:show", "List the keys, or print one public key as it is published."),
    "revoke": (
        "keys:revoke",
        "Revoke a key: what it signed from then on is not trusted any more. If it signs, a new key takes its place.",
    ),
}
"""The same of `quledger keys`."""

USER_COMMANDS = {
    "add": ("people:add_user", "Add a user."),
    "list": ("people:list_users", "List the users."),
    "set": (
        "people:set_user",
        "Give a user another role, or disable him: no token of his lets anybody in until he is enabled again.",
    ),
    "limits": (
        "people:limit_user",
        "Set limits of a user, or show them; `none` takes one away, and those that are not named stay.",
    ),
    "link": (
        "people:link",
        (
            "Let a user see the jobs that came in under a name without a token, by the inbox, Prefect or the"
            " command line."
        ),
    ),
    "unlink": ("people:unlink", "Take back what `link` allowed."),
    "import-qlued": (
        "import_qlued:import_qlued",
        "Show which users and tokens a database file of qlued has that are not here; with `--apply`, take them over.",
    ),
}
"""The same of `quledger user`."""

PROJECT_COMMANDS = {
    "add": ("people:add_project", "Add a project, whose members and viewers see each other's jobs in it."),
    "list": ("people:list_projects", "List the projects."),
    "set": ("people:set_project", "Change who belongs to a project."),
    "limits": (
        "people:limit_project",
        "Set limits of all jobs of a project together, or show them; as `quledger user limits`.",
    ),
}
"""The same of `quledger project`."""

TOKEN_COMMANDS = {
    "new": (
        "tokens:new",
        "Make a token and print it, alone on standard output; it is shown this once and kept nowhere.",
    ),
    "list": (
        "tokens:list_tokens",
        "List tokens by their ids; what is kept of each is a hash, so that none can be shown again.",
    ),
    "revoke": ("tokens:revoke", "Revoke a token: it lets nobody in any more, at once and for ever."),
}
"""The same of `quledger token`."""

BACKEND_COMMANDS = {
    "check": (
        "conformance:check",
        "Try a backend with good and bad documents in the sandbox of its jobs, and say all that is wrong with it.",
    ),
    "history": (
        "calibrations:history",
        "List which configurations and calibrations of a backend held when, and which of them were withdrawn.",
    ),
    "show": ("calibrations:show", "Print a configuration and calibration as it was kept."),
    "withdraw": ("calibrations:withdraw", "Withdraw a calibration: results that stand on it are not to be relied on."),
    "reinstate": (
        "calibrations:reinstate",
        "Take back the withdrawal of a calibration: its results can be relied on again.",
    ),
}
"""The same of `quledger backends`, which lists them where none follows."""

DB_COMMANDS = {
    "upgrade": ("db:upgrade", "Make the database, or bring its tables to the version of this program."),
    "current": ("db:current", "Show at which version the database stands, and which one this program needs."),
    "check": (
        "db:check",
        "Look whether the database is whole: file, version, tables, triggers; end with code 3 if something differs.",
    ),
    "backup": ("db:backup", "Copy the database while it is used, and read the copy back."),
    "size": (
        "sizes:show_size",
        "Show how much room database and storage take, for each job and each day, and when the disk is full.",
    ),
    "shell": ("db:shell", "Ask the database in SQL; it changes nothing unless told so."),
}
"""The same of `quledger db`."""

GROUPS = {
    "backends": ("List the backends of this installation and how many jobs wait for each.", BACKEND_COMMANDS),
    "keys": ("Make, show, rotate and revoke the keys with which backends sign.", KEY_COMMANDS),
    "user": ("Add, change and list the users of the API.", USER_COMMANDS),
    "project": ("Add, change and list projects, whose members see each other's jobs.", PROJECT_COMMANDS),
    "db": ("Look after the database of the log: upgrade, check, back up, ask.", DB_COMMANDS),
    "token": ("Make, list and revoke the tokens with which users and devices sign in.", TOKEN_COMMANDS),
}
"""Commands that have commands of their own: the line about each in the help, and these."""

PANELS = {
    "Jobs": (
        *("backends", "check", "submit", "list", "status", "why", "wait", "watch", "result", "history"),
        *("cancel", "retry", "rerun", "label", "group"),
    ),
    "Results and records": ("diff", "results", "export", "verify-archive", "schema"),
    "Serve": ("demo", "drain", "up", "serve", "worker", "pause", "resume"),
    "Look after it": (
        *("health", "config", "storages", "verify", "reconcile", "restore", "rebuild", "retention", "prune", "adopt"),
        "db",
    ),
    "People and keys": ("user", "project", "token", "keys"),
}
"""What the help shows together, and in which order: what one needs first stands first."""
