"""The rules in .semgrep.yml bite on what they forbid, and on nothing beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SEMGREP = ROOT / ".venv-lint" / "bin" / "semgrep"
RULES = ROOT / ".semgrep.yml"
OFFLINE = ("--metrics=off", "--disable-version-check")
NAMES = re.findall(r"^  - id: (\S+)", RULES.read_text(encoding="utf-8"), re.M)

# By rule: what it must find, and what stands close by and is right.  A snippet goes
# into app/, one of HTML into templates/, unless "path: " says where.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "secret-in-log": (
        [
            "log.info('registered %s', card_number)",
            "logging.warning(f'refused {pan}')",
            "current_app.logger.error('code ' + code)",
            "logging.getLogger(__name__).debug('%s', form.password.data)",
            "log.exception('no', extra={'cookie': session_cookie})",
            "_log.log(20, '{}'.format(typed_digits))",
            "log.debug('sent %s', request.form)",
            "log.debug('opened with %s', str(root_secret))",
        ],
        [
            "log.info('registered %s', card.masked)",
            "log.error('incident %s', incident, exc_info=cause)",
            "log.warning('a code mail was not taken: %s', type(error).__name__)",
            "log.info('line %s: %s', line_number, status_code)",
            "message.append(card_number)",
        ],
    ),
    "number-printed": (
        [
            "print(pan.expose_digits)",
            "import click\nclick.echo(f'{card_number}', err=True)",
            "from click import echo\necho('a ' + row.card_number)",
            "console.print(digits)",
        ],
        ["print(pan.masked)", "import click\nclick.echo(f'{count} cards')"],
    ),
    "digits-exposed": (
        [
            "value = pan.expose_digits()",
            "vault/ops/export.py: take = row.expose_digits",
        ],
        ["vault/card/envelope.py: digits = pan.expose_digits()", "shown = pan.last4"],
    ),
    "trusted-markup": (
        [
            "from markupsafe import Markup\nbold = Markup('<b>') + name",
            "from flask import render_template_string\nrender_template_string(typed)",
            "import jinja2\njinja2.Environment(loader=own, autoescape=False)",
            "app.jinja_env.autoescape = False",
        ],
        [
            "from markupsafe import escape\nbold = escape(name)",
            "found = Customer.name.contains(q, autoescape=False)",
        ],
    ),
    "trusted-text-in-template": (
        [
            "html: <p>{{ name|safe }}</p>",
            "html: <p>{{ name | trim | safe }}</p>",
            "html: {% autoescape false %}{{ name }}{% endautoescape %}",
            "html: {{ Markup(name) }}",
        ],
        ["html: <p>{{ name }} is safe</p>", "html: <p>{{ name | safety }}</p>"],
    ),
    "inline-script-or-style": (
        [
            "html: <script>go()</script>",
            "html: <style>p { color: red }</style>",
            'html: <p class="a" style="color: red">',
            'html: <button type="submit" onclick="go()">',
            'html: <a href="javascript:go()">',
            'html: <img src="a.png"\n  onerror="go()">',
        ],
        [
            "html: <script src=\"{{ asset('site.js') }}\" defer></script>",
            'html: <p class="style" data-on="a">one=1</p>',
        ],
    ),
    "card-autocomplete": (
        ['html: {{ text(form.number, autocomplete="cc-number") }}'],
        ['html: <input name="code" autocomplete="one-time-code">'],
    ),
    "html-from-script": (
        [
            "js: row.innerHTML = name;",
            "js: page.insertAdjacentHTML('beforeend', name);",
            "js: eval(text);",
        ],
        ["js: row.textContent = name;"],
    ),
    "sql-by-format": (
        [
            "from sqlalchemy import text\nfound = text(f'SELECT * FROM a WHERE b={c}')",
            "from sqlalchemy import text\nfound = text('SELECT %s FROM a' % column)",
            "db.execute('SELECT * FROM a WHERE b = ' + typed)",
            "db.exec_driver_sql('DELETE FROM {}'.format(name))",
            "cursor.executescript(f'DROP TABLE {name}')",
            "site.scalar('SELECT a FROM b WHERE c = ' + typed + ' LIMIT 1')",
        ],
        [
            "db.execute(text('SELECT 1'))",
            "db.execute(select(Card).where(Card.id == card_id))",
            "db.execute('SELECT a FROM b WHERE c = ?', (typed,))",
            "db.execute(f'SELECT * FROM \"{quoted}\"')",
        ],
    ),
    "cipher-outside-its-file": (
        [
            "import cryptography",
            "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
            "vault/a.py: from cryptography.fernet import Fernet",
            "def late():\n    import cryptography.x509",
        ],
        ["vault/crypto.py: from cryptography.exceptions import InvalidTag"],
    ),
    "another-cipher": (
        [
            "from Crypto.Cipher import AES",
            "import nacl.secret",
            "import fernet",
            "import bcrypt as words",
            "import hashlib\nhashlib.pbkdf2_hmac('sha256', word, salt, 1)",
            "from hashlib import md5\nmd5(word)",
            (
                "from werkzeug.security import check_password_hash\n"
                "check_password_hash(a, b)"
            ),
        ],
        ["import hashlib\nhashlib.sha256(page)", "from argon2 import PasswordHasher"],
    ),
    "secret-compared-in-parts": (
        [
            "if row.mac == expected:\n    go()",
            "right = code != typed",
            "right = expected == stored_digest",
            "right = form.code.data == sent",
            "import hmac\nright = hmac.new(key, text).digest() == given",
            "right = given == key.sign(text)",
        ],
        [
            "import hmac\nright = hmac.compare_digest(row.mac, expected)",
            "used = update(Code).where(Code.digest == digest, Code.used_at == 0)",
            "empty = code == ''",
            "right = digest.hexdigest() != member.sha256",
            "if answer.status_code == wanted or done.returncode != last:\n    go()",
        ],
    ),
    "what-is-read-runs": (
        [
            "import pickle",
            "from marshal import loads",
            "value = eval(typed)",
            "exec(typed)",
            "import yaml\nyaml.load(page)",
        ],
        ["import json\njson.loads(page)", "import yaml\nyaml.safe_load(page)"],
    ),
    "shell": (
        [
            "import subprocess\nsubprocess.run(line, shell=True)",
            "from subprocess import Popen\nPopen(line, stdout=out, shell=True)",
            "import os\nos.system(line)",
        ],
        [
            "import subprocess\nsubprocess.run(['ls', folder], check=True)",
            (
                "vault/commands/vaults.py: import subprocess\n"
                "subprocess.run(command, shell=True)"
            ),
        ],
    ),
    "environment-outside-the-settings": (
        [
            "import os\ndebug = os.environ.get('DEBUG')",
            "from os import getenv\nport = getenv('PORT')",
            "vault/b.py: import os\nkey = os.environ['VAULT_KEY']",
        ],
        [
            "import os\ncli = os.environ.get('FLASK_RUN_FROM_CLI') != 'true'",
            "wsgi.py: import os\napp = create_app(safe_config(os.environ))",
            "value = environ.get('PORT')",
        ],
    ),
    "error-swallowed": (
        [
            "try:\n    go()\nexcept Exception:\n    pass",
            "try:\n    go()\nexcept Exception as error:\n    pass",
            "try:\n    go()\nexcept:\n    stay()",
            "while True:\n    try:\n        go()\n    except Exception:\n        continue",
            "import contextlib\nwith contextlib.suppress(Exception):\n    go()",
        ],
        [
            "try:\n    go()\nexcept ValueError:\n    pass",
            "try:\n    go()\nexcept Exception as error:\n    log.error('%s', error)",
            "from contextlib import suppress\nwith suppress(FileNotFoundError):\n    go()",
        ],
    ),
    "request-leads-away": (
        [
            (
                "from flask import redirect, request\n"
                "def view():\n    return redirect(request.args['next'], 303)"
            ),
            (
                "from flask import redirect, request\n"
                "def view():\n    to = request.referrer or '/'\n    return redirect(to)"
            ),
            (
                "from flask import send_file, request\n"
                "def view():\n    return send_file(request.form.get('name'))"
            ),
            (
                "from pathlib import Path\nfrom flask import request\n"
                "def view():\n    return Path(request.args['name']).read_bytes()"
            ),
        ],
        [
            (
                "from flask import redirect, request, url_for\n"
                "def view():\n    return redirect(url_for('a', q=request.args['q']), 303)"
            ),
            "from flask import send_file\ndef view():\n    return send_file(OWN)",
        ],
    ),
    "clock-read": (
        [
            "import time\nnow = time.time()",
            "vault/card/token.py: from time import time\nnow = int(time())",
            "from datetime import UTC, datetime\nnow = datetime.now(UTC)",
            "from datetime import date\nnow = date.today()",
            "from sqlalchemy import func\nat = func.now()",
        ],
        [
            "vault/clock.py: import time\nnow = int(time.time())",
            "deploy/demo.py: import time\nnow = time.time()",
            "import time\nbegan = time.monotonic()",
            "from datetime import UTC, datetime\nat = datetime.fromtimestamp(now, UTC)",
        ],
    ),
}
PLACED = re.compile(r"(html|js|[\w/]+\.py): (.*)", re.S)
FOLDERS = {"html": "templates", "js": "app/static"}
BAD = [(rule, text) for rule, (bad, _) in CASES.items() for text in bad]
GOOD = [(rule, text) for rule, (_, good) in CASES.items() for text in good]


def put(folder: Path, number: int, text: str) -> str:
    """Write a snippet where it says; returns its path below ``folder``."""
    placed = PLACED.fullmatch(text)
    where, source = placed.groups() if placed else ("py", text)
    ending = f"case{number}.{where}"
    name = where if "/" in where or "." in where else f"app/{ending}"
    if where in FOLDERS:
        name = f"{FOLDERS[where]}/{ending}"
    path = folder / name
    assert not path.exists(), f"{name} is there twice"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source + "\n", encoding="utf-8")
    return name


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """What the rules found, as (rule, snippet), by one run over all snippets."""
    if not SEMGREP.exists():
        pytest.skip("semgrep is not installed: make lint")
    folder = tmp_path_factory.mktemp("snippets")
    snippets = [text for _, text in [*BAD, *GOOD]]
    at = {put(folder, number, text): text for number, text in enumerate(snippets)}
    done = subprocess.run(
        [SEMGREP, "scan", *OFFLINE, "--config", RULES, "--json", "--quiet", "."],
        cwd=folder,
        env={**os.environ, "HOME": str(folder.parent)},
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["errors"] == []
    return {
        (one["check_id"].rpartition(".")[2], at[one["path"]])
        for one in report["results"]
    }


@pytest.mark.parametrize(("rule", "text"), BAD, ids=[rule for rule, _ in BAD])
def test_a_rule_bites(found: set[tuple[str, str]], rule: str, text: str) -> None:
    """What it forbids is found, in each way it can be written."""
    assert (rule, text) in found


@pytest.mark.parametrize(("rule", "text"), GOOD, ids=[rule for rule, _ in GOOD])
def test_a_rule_leaves_what_is_right(
    found: set[tuple[str, str]], rule: str, text: str
) -> None:
    """What stands close by and is right is let be."""
    assert (rule, text) not in found


def test_every_rule_is_shown_biting() -> None:
    """And every case is of a rule that is there."""
    assert set(NAMES) == set(CASES)
    assert all(bad and good for bad, good in CASES.values())


def test_no_rule_comes_from_elsewhere() -> None:
    """`make lint` reads this file alone, sends nothing and asks for nothing."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"--config (\S+semgrep\S*)", makefile) == [RULES.name]
    assert all(flag in makefile for flag in OFFLINE)
