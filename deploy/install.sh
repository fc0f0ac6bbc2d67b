#!/bin/sh
# Installs the site on this machine by the commands of docs/operations.md, chapter
# "Install on Debian 12", and prints each as it is run. What is there already stays as it
# is, so it may be run again: after a stop, and after every update.
#
#   install.sh --dry-run            prints the commands and changes nothing
#   install.sh --root-key FILE      makes the vault too; the root key goes into FILE, on a
#                                   medium that is mounted
#   install.sh --allow ADDRESS      lets the site and its timers reach ADDRESS; for each
#                                   of mail server, name server and PostgreSQL elsewhere
#
# Exit codes: 0 all is in place; 2 something has to be done by hand first, which is said.
set -eu

account=cardsite etc=/etc/cardsite state=/var/lib/cardsite units=/etc/systemd/system
here=$(dirname "$(readlink -f "$0")")
code=$(dirname "$here")
dry=no root_key='' allowed='' changed=no
passphrase=${VAULT_ROOT_PASSPHRASE_FILE:-}
export LANG=C.UTF-8
# Only init needs these.
unset VAULT_ROOT_KEY VAULT_ROOT_KEY_COMMAND VAULT_ROOT_PASSPHRASE_FILE

stop() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    [ $dry = yes ] || exit 2
}

# Prints a command and runs it, or with --dry-run prints it alone.
run() {
    changed=yes
    printf '+ %s\n' "$*"
    [ $dry = yes ] || "$@"
}

have_account() {
    getent passwd "$account" >/dev/null && return
    run useradd --system --user-group --home-dir "$state" --no-create-home \
        --shell /usr/sbin/nologin "$account"
}

# have_folder FOLDER OWNER GROUP MODE
have_folder() {
    [ "$(stat -c '%U %G %a' "$1" 2>/dev/null)" = "$2 $3 $4" ] && return
    run install -d -o "$2" -g "$3" -m "$4" "$1"
}

# have_file FROM TO MODE: puts a file there if there is none.
have_file() {
    [ -e "$2" ] || run install -D -o root -g root -m "$3" "$1" "$2"
}

have_secret() {
    [ -s "$etc/secret.key" ] && return
    run install -o root -g root -m 600 /dev/null "$etc/secret.key"
    run openssl rand -hex -out "$etc/secret.key" 32
}

have_settings() {
    have_file "$here/settings.example" "$etc/settings" 600
    left=$(sed -n 's/^\([A-Z_]*\)="FILL_IN.*/\1/p' "$etc/settings" 2>/dev/null) || true
    [ -e "$etc/settings" ] || left="its values"
    [ -z "$left" ] || stop "$etc/settings is not filled in: $(echo $left)" \
        "write them into it, then run this again"
}

have_code() {
    make -s -q -C "$code" install 2>/dev/null || run make -s -C "$code" install
    target=/usr/local/sbin/cardsite-run
    [ "$(readlink "$target")" = "$here/cardsite-run" ] ||
        run ln -sfn "$here/cardsite-run" "$target"
}

have_vault() {
    [ -e "$etc/web.key" ] && return
    if [ -n "$root_key" ]; then
        run env "VAULT_ROOT_KEY=$root_key" \
            ${passphrase:+"VAULT_ROOT_PASSPHRASE_FILE=$passphrase"} \
            "$here/cardsite-run" --root cardvault init
        return
    fi
    stop "there is no vault yet" "make it with install.sh --root-key FILE; or by shares:\
 cardsite-run --root cardvault init --shares 3 --threshold 2; or put the web.key of a\
 vault that was made on the ops host into $etc, root's, mode 0600; then run this again"
}

have_tables() {
    if [ -e "$etc/web.key" ]; then
        "$here/cardsite-run" flask --app wsgi migrate --check >/dev/null 2>&1 && return
    fi
    run "$here/cardsite-run" flask --app wsgi migrate
}

# setting NAME: what the settings say.
setting() {
    "$here/cardsite-run" printenv "$1" 2>/dev/null || true
}

have_ways() {
    for unit in cardsite cardsite-backup cardsite-purge; do
        drop_in=$units/$unit.service.d/network.conf
        wanted="[Service]
IPAddressAllow=${allowed# }"
        if [ -n "$allowed" ] && [ "$(cat "$drop_in" 2>/dev/null)" != "$wanted" ]; then
            run install -d -m 755 "$units/$unit.service.d"
            run sh -c 'printf "%s\n" "$1" >"$2"; chmod 644 "$2"' sh "$wanted" "$drop_in"
        fi
    done
    [ -e "$units/cardsite.service.d/network.conf" ] || [ -n "$allowed" ] || have_no_far
}

# Stops when the settings name another machine and nothing lets the units reach it.
have_no_far() {
    [ -e "$etc/settings" ] || return 0
    for name in MAIL_SERVER DATABASE_URL VAULT_DATABASE_URL; do
        case $(setting $name) in
            '' | sqlite:* | 127.* | localhost | ::1) ;;
            *@127.* | *@localhost[:/]*) ;;
            *) stop "$name is another machine, and the units reach this one alone" \
                "install.sh --allow ADDRESS, for it and for the name server" ;;
        esac
    done
}

have_units() {
    before=$changed changed=no
    newer=''
    for file in "$here"/cardsite*.service "$here"/cardsite*.timer; do
        cmp -s "$file" "$units/$(basename "$file")" || newer="$newer $file"
    done
    # Names of ours, without a blank in them.
    [ -z "$newer" ] || run install -o root -g root -m 644 -t "$units" $newer
    have_ways
    if [ $changed = yes ] && [ -d /run/systemd/system ]; then
        run systemctl daemon-reload
    fi
    [ $changed = yes ] || changed=$before
    for unit in cardsite.service cardsite-backup.timer; do
        systemctl is-enabled --quiet "$unit" 2>/dev/null || run systemctl enable "$unit"
        [ -d /run/systemd/system ] || continue
        systemctl is-active --quiet "$unit" || run systemctl start "$unit"
    done
}

have_proxy() {
    have_folder /var/log/cardsite root adm 750
    have_file "$here/logrotate.conf" /etc/logrotate.d/cardsite 644
    have_file "$here/journald.conf" /etc/systemd/journald.conf.d/cardsite.conf 644
    [ -e /etc/nginx/sites-available/cardsite ] && return
    name=cards.example.jp
    [ ! -e "$etc/settings" ] || name=$(setting TRUSTED_HOSTS)
    run install -D -o root -g root -m 644 "$here/nginx.conf" /etc/nginx/sites-available/cardsite
    run sed -i "s/cards\\.example\\.jp/${name%%,*}/" /etc/nginx/sites-available/cardsite
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=yes ;;
        --root-key)
            root_key=${2:?the file of the root key}
            shift
            ;;
        --allow)
            allowed="$allowed ${2:?an address}"
            shift
            ;;
        *)
            sed -n '/^#   /s/^# //p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || stop "only root can install" "sudo $0"
[ "$code" = /srv/cardsite ] || stop "the units run the code in /srv/cardsite" \
    "git clone it there, as root"
[ "$(stat -c %u "$code")" = 0 ] || stop "$code is not root's, so it may be changed" \
    "chown -R root:root $code"

have_account
have_folder "$etc" root "$account" 750
have_folder "$state" "$account" "$account" 700
have_folder /var/backups/cardsite "$account" "$account" 700
have_code
have_secret
have_settings
have_vault
have_tables
have_units
have_proxy
[ $changed = yes ] || echo "all is in place; nothing was changed"
