"""Every option of `python -m reports`, once: parser, check and documentation read this table."""

from reports.command_line import Option, as_path, one_of

RENDER, SUMMARY, COMPARE, MERGE = "reports render", "reports summary", "reports compare", "reports merge"
SHIP = "reports ship"
HISTORY_ADD, HISTORY_SHOW = "reports history add", "reports history show"
# Each command with what it does.
COMMANDS = {
    RENDER: "write report.html, report.json and report.csv of a record",
    SUMMARY: "Markdown and annotations for the page of a GitHub job",
    COMPARE: "two runs of one machine side by side, such as before and after an update",
    MERGE: "make one record and report of the shards of one matrix",
    SHIP: "write the recommended engine of a run as a bundle: a folder with all that it takes to run it elsewhere",
    HISTORY_ADD: "append a run to the history of its machine, and print the file that has it",
    HISTORY_SHOW: "print each case's figures, and since when they are worse",
}

TABLE = (
    Option("rows", "the record of a benchmark run", (RENDER, SUMMARY, HISTORY_ADD), "ROWS.jsonl", parse=as_path),
    Option("rows", "the record of each shard", (MERGE,), "ROWS.jsonl", parse=as_path, count="+"),
    Option("before", "the record of the earlier run", (COMPARE,), "A/ROWS.jsonl", parse=as_path),
    Option("after", "the record of the later run", (COMPARE,), "B/ROWS.jsonl", parse=as_path),
    Option("run_folder", "the folder of a benchmark run, or its record", (SHIP,), "RUN", parse=as_path),
    Option("--model", "ship the best engine of this model", (SHIP,), "NAME", alternative="what"),
    Option("--case", "ship this case, such as yolov8n-tensorrt-fp16-b8", (SHIP,), "ID", alternative="what"),
    Option(
        "--for",
        "with --model: the most photos a second (throughput), or one photo at a time (latency)",
        (SHIP,),
        "throughput|latency",
        "throughput",
        parse=one_of("throughput", "latency"),
    ),
    Option(
        "--engine-cache",
        "where the run built its engines",
        (SHIP,),
        "DIR",
        default_text="the folder that the record names",
        parse=as_path,
    ),
    Option("--output", "the folder of the bundle: new, or empty", (SHIP,), "DIR", parse=as_path, required=True),
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
