"""Two of qlued's calls (version 2: post_job, get_job_status) in a minimal Django app: a measure, and not qlued itself.

It checks what qlued checks: the body is JSON, the token is one of a user in the database, the backend is known, the job
is JSON. A job is a row in SQLite that is on the disk before it is answered. It has one middleware, and reads no
document. `python qlued_django.py TOKEN` makes the tables and a user; PEER_DATABASE names the file.
"""

import json
import os
import sys
import uuid

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # it says the length of an answer
    APPEND_SLASH=False,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["PEER_DATABASE"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
            },
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

BACKENDS = {"singlequdit", "multiqudit", "fermions", "rydberg"}


class User(models.Model):
    """Somebody who may hand in jobs."""

    username = models.CharField(max_length=150, unique=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        """It belongs to no installed app."""

        app_label = "peer"


class Token(models.Model):
    """What a user shows."""

    key = models.CharField(max_length=100, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)

    class Meta:
        """It belongs to no installed app."""

        app_label = "peer"


class Job(models.Model):
    """A job that was handed in."""

    job_id = models.CharField(max_length=32, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    backend = models.CharField(max_length=100)
    document = models.TextField()
    status = models.CharField(max_length=20, default="INITIALIZING")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """It belongs to no installed app."""

        app_label = "peer"


def _status(job_id: str, status: str, detail: str, error: str, code: int = 200) -> JsonResponse:
    document = {"job_id": job_id, "status": status, "detail": detail, "error_message": error}
    return JsonResponse(document, status=code)


def _user(key: object) -> User | None:
    token = Token.objects.select_related("user").filter(key=key, user__is_active=True).first()
    return None if token is None else token.user


def post_job(request: HttpRequest, backend: str) -> JsonResponse:
    """Take a job."""
    try:
        values = json.loads(request.body)
        key, text = values["token"], values["job"]
    except (ValueError, KeyError, TypeError):
        return _status("None", "ERROR", "Error loading json data from input request!", "no JSON", 406)
    if (user := _user(key)) is None:
        return _status("None", "ERROR", "Invalid credentials!", "Invalid credentials!", 401)
    if backend not in BACKENDS:
        return _status("None", "ERROR", "Unknown back-end!", "Unknown back-end!", 404)
    try:
        json.loads(text)
    except (ValueError, TypeError):
        return _status("None", "ERROR", "The encoding of your json seems not work out!", "no JSON", 406)
    job = Job.objects.create(job_id=uuid.uuid4().hex, user=user, backend=backend, document=text)
    return _status(job.job_id, job.status, "Got your json.", "None")


def get_job_status(request: HttpRequest, backend: str) -> JsonResponse:
    """Return where a job stands."""
    if (user := _user(request.GET.get("token"))) is None:
        return _status("None", "ERROR", "Invalid credentials!", "Invalid credentials!", 401)
    job = Job.objects.filter(job_id=request.GET.get("job_id"), user=user, backend=backend).first()
    if job is None:
        return _status("None", "ERROR", "Unknown job!", "Unknown job!", 406)
    return _status(job.job_id, job.status, "Got your json.", "None")


urlpatterns = [
    path("api/v2/<backend>/post_job", post_job),
    path("api/v2/<backend>/get_job_status", get_job_status),
]
application = get_wsgi_application()

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        for model in (User, Token, Job):
            editor.create_model(model)
    Token.objects.create(key=sys.argv[1], user=User.objects.create(username="alice"))
