import os
import sys

from app import create_app, log
from app.startup import safe_config
from config import ConfigError

# What gunicorn takes for an application that will never load: it ends then.
GUNICORN_APP_LOAD_ERROR = 4

# What the start itself says is written so too.
log.write_to_stderr(os.environ.get("LOG_FORMAT") or "text")
try:
    app = create_app(safe_config(os.environ))
except ConfigError as refusal:
    sys.stderr.write(log.refusal(refusal, os.environ))
    sys.exit(GUNICORN_APP_LOAD_ERROR if "gunicorn" in sys.modules else 2)
