"""A small Django project with a database, and migrations as Django writes them."""

from __future__ import annotations

from pathlib import Path

from tests.support.site import configure

_SETTINGS = """
from pathlib import Path
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["notes"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": Path(__file__).parent / "instance" / "notes.db",
    "CONN_MAX_AGE": None,
}}
"""
_WSGI = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
app = get_wsgi_application()
"""
_URLS = """
from django.db import connection
from django.http import HttpResponse
from django.urls import path

def count(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT({column}) FROM notes_note")
        return HttpResponse(str(cursor.fetchone()[0]))

urlpatterns = [path("", count), path("healthz", count)]
"""
_MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = {dependencies}{phase}
    operations = [
        {operations}
    ]
"""
CREATES = (
    'migrations.CreateModel("Note", fields=[("id", models.AutoField(primary_key=True)), '
    '("text", models.CharField(max_length=80))]),'
)


_MANAGE = 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")\n'


def make_notes(folder: Path) -> None:
    """A project that counts its notes, with the first migration of its database."""
    for inner in ("instance", "notes/migrations"):
        (folder / inner).mkdir(parents=True)
    for name, text in (("settings", _SETTINGS), ("wsgi", _WSGI), ("manage", _MANAGE)):
        (folder / f"{name}.py").write_text(text)
    count_by(folder, "text")
    for package in ("notes", "notes/migrations"):
        (folder / package / "__init__.py").touch()
    add_migration(folder, "0001_first", None, CREATES)
    configure(folder, ready_timeout="60s", probe_rate=10)


def count_by(folder: Path, column: str) -> None:
    """Have the code count its notes by `column`."""
    (folder / "urls.py").write_text(_URLS.replace("{column}", column))


def add_migration(folder: Path, name: str, after: str | None, operation: str, phase: str = "") -> Path:
    """Write the migration `name` of the app `notes`, which comes after another; `phase` it asks for."""
    dependencies = [] if after is None else [("notes", after)]
    file = folder / "notes" / "migrations" / f"{name}.py"
    asks = f"\n    phase = {phase!r}" if phase else ""
    file.write_text(_MIGRATION.format(dependencies=dependencies, operations=operation, phase=asks))
    return file
