import os
import sys

from app import create_app
from config import Config, ConfigError
from vault.errors import VaultError

# What gunicorn takes for an application that will never load: it ends then.
GUNICORN_APP_LOAD_ERROR = 4

try:
    app = create_app(Config.from_environ(os.environ))
except (ConfigError, VaultError) as refusal:
    hint = getattr(refusal, "hint", "")
    sys.stderr.write(f"error: {refusal}\n" + (f"hint: {hint}\n" if hint else ""))
    sys.exit(GUNICORN_APP_LOAD_ERROR if "gunicorn" in sys.modules else 2)
