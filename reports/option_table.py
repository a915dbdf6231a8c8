"""Every option of `python -m reports`, once: parser, check and documentation read this table."""

from reports.command_line import Option, as_path

RENDER, SUMMARY, COMPARE, MERGE = "reports render", "reports summary", "reports compare", "reports merge"
HISTORY_ADD, HISTORY_SHOW = "reports history add", "reports history show"
# Each command with what it does.
COMMANDS = {
    RENDER: "write report.html, report.json and report.csv of a record",
    SUMMARY: "Markdown and annotations for the page of a GitHub job",
    COMPARE: "two runs of one machine side by side, such as before and after an update",
    MERGE: "make one record and report of the shards of one matrix",
    HISTORY_ADD: "append a run to the history of its machine, and print the file that has it",
    HISTORY_SHOW: "print each case's figures, and since when they are worse",
}

TABLE = (
    Option("rows", "the record of a benchmark run", (RENDER, SUMMARY, HISTORY_ADD), "ROWS.jsonl", parse=as_path),
    Option("rows", "the record of each shard", (MERGE,), "ROWS.jsonl", parse=as_path, count="+"),
    Option("before", "the record of the earlier run", (COMPARE,), "A/ROWS.jsonl", parse=as_path),
    Option("after", "the record of the later run", (COMPARE,), "B/ROWS.jsonl", parse=as_path),
    Option("folder", "the folder of the history", (HISTORY_SHOW,), "DIR", parse=as_path),
    Option("--output", "where to write", (RENDER,), "DIR", default_text="beside the record", parse=as_path),
    Option("--output", "append the Markdown to this file", (SUMMARY,), "FILE", default_text="print it", parse=as_path),
    Option("--output", "also write a page", (COMPARE,), "FILE.html", parse=as_path),
    Option("--output", "a folder without a record", (MERGE,), "DIR", parse=as_path, required=True),
    Option("--annotations", "print a workflow command for each case that needs a look", (SUMMARY,), flag=True),
    Option("--history", "the folder of the history", (HISTORY_ADD,), "DIR", parse=as_path, required=True),
    Option(
        "--history",
        "also tell what is worse than in this history, which has the run",
        (RENDER, SUMMARY),
        "DIR",
        parse=as_path,
    ),
    Option("--case", "only cases with this in their name", (HISTORY_SHOW,), "SUBSTRING"),
)
