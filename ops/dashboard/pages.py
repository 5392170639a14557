"""Upstream's templates with our corrections, made while they are loaded.

Each correction must find its text, so that another version of rq-dashboard cannot silently lose one.
"""

from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import Environment, PackageLoader
from jinja2.exceptions import TemplateError

Edits = tuple[tuple[str, str], ...]

# Underscore's ``<%=`` inserts text as HTML: a traceback that quotes a message would run as script. ``<%-`` escapes.
_ESCAPED: Final = ("<%= d.", "<%- d.")
_THE_LIST: Final = ("This list below", "The list below")

EDITS: Final[Mapping[str, Edits]] = {
    "rq_dashboard/base.html": (
        ("<title>RQ dashboard</title>", "<title>ackfirst dashboard</title>"),
        ("url_for('static', filename='favicon.ico')", "url_for('rq_dashboard.favicon')"),
        # The content security policy runs no inline script without the nonce of this very answer.
        ('<script type="text/javascript">', '<script type="text/javascript" nonce="{{ script_nonce() }}">'),
        (
            '<div class="container">',
            """<div id="trouble" class="alert alert-danger text-center mb-0" role="alert" hidden></div>

        <div class="container">""",
        ),
        (
            '<script type="text/javascript" nonce',
            """<script src="{{ url_for('static', filename='trouble.js') }}"></script>
        <script type="text/javascript" nonce""",
        ),
    ),
    "rq_dashboard/navbar.html": ((">RQ-dashboard</a>", ">ackfirst</a>"),),
    "rq_dashboard/queues.html": (
        _ESCAPED,
        _THE_LIST,
        (
            "Select a queue from above to view all jobs currently pending on the queue.",
            "Select a number to see these jobs.",
        ),
    ),
    "rq_dashboard/workers.html": (_ESCAPED, _THE_LIST),
    "rq_dashboard/jobs.html": (
        _ESCAPED,
        (
            "This list below contains all the queued jobs on queue <strong>{{ queue.name }}</strong>.",
            "The list below contains the {{ registry_name }} jobs of queue <strong>{{ queue.name }}</strong>.",
        ),
        # The name of a lane is most often an API key, a dot and a UUID.
        ('<input class="form-control" list="queues_list"', '<input class="form-control" size="54" list="queues_list"'),
        ("{% if enable_delete %}", "{% if enable_delete and registry_name != 'started' %}"),
        ("Remove all jobs from this queue", "Delete all {{ registry_name }} jobs of this queue"),
        (">Empty queue</a>", ">Delete all {{ registry_name }}</a>"),
    ),
    "rq_dashboard/job.html": (
        _ESCAPED,
        ("<%= JSON.stringify(", "<%- JSON.stringify("),
        ("<%= jobId %>", "<%- jobId %>"),
        ('<span class = "row col-12">', '<span class="col-12">'),
        ('<pre class="exc_info col-12">', '<pre class="exc_info">'),
        ("<%- d.exc_info %>", "<%- d.exc_info || 'none' %>"),
    ),
    "rq_dashboard/scripts/jobs.js": (
        # Not escaped upstream (Jinja escapes .html only): a queue's name in a link could hold a script.
        ("'{{ queue.name }}'", "{{ queue.name|tojson }}"),
    ),
    "rq_dashboard/scripts/dashboard.js": (
        # Upstream shows the day only.
        ("return d.format()", "return d.format('{yyyy}-{MM}-{dd} {HH}:{mm}:{ss}')"),
    ),
    "rq_dashboard/scripts/job.js": (
        ('if (job.status === "failed") {\n            $("#requeue-job-btn").show()\n        }',
         '$("#requeue-job-btn").toggle(job.status === "failed");'),
        # Upstream ends the refresh loop at the first error, for example while Redis restarts.
        ("if (err) {\n                return;", "if (err) {\n                return done && done();"),
    ),
}  # fmt: skip


class EditedTemplates(PackageLoader):
    """Loads upstream's templates and applies ``EDITS``."""

    def __init__(self) -> None:
        super().__init__("rq_dashboard")

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool] | None]:
        """Source of a template.

        Raises:
            TemplateError: A correction does not fit: rq-dashboard is not the version that this was written for.
        """
        source, path, is_current = super().get_source(environment, template)
        for old, new in EDITS.get(template, ()):
            if old not in source:
                raise TemplateError(f"{template} of rq-dashboard has no {old!r}: is it version 0.9.0?")
            source = source.replace(old, new)
        return source, path, is_current
