#!/bin/sh
# Make a virtual environment and install into it: make_env.sh FOLDER PIP_ARGUMENT...
# The Python is $PYTHON, or the newest of those on the PATH that is 3.11 or later.
set -eu
folder=$1
shift

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

python=${PYTHON:-}
if [ -n "$python" ]; then
    is_new_enough "$python" || { echo "mm_plugin: PYTHON=$python is not a Python 3.11 or later." >&2; exit 1; }
else
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$name"; then python=$name; break; fi
    done
    [ -n "$python" ] || { echo "mm_plugin: no Python 3.11 or later on the PATH; install one, or say make PYTHON=/path/to/python." >&2; exit 1; }
fi

echo "mm_plugin: using $("$python" -c 'import platform, sys; print("Python", platform.python_version(), "at", sys.executable)') in the folder $folder"
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! output=$("$python" -m venv --clear "$folder" 2>&1); then
        rm -rf "$folder"
        echo "$output" | tail -n 1 >&2
        echo "mm_plugin: '$python -m venv' failed; install Python's venv module (Debian and Ubuntu: apt install python3-venv) and try again." >&2
        exit 1
    fi
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
