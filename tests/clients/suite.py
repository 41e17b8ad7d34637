"""The tests of tests/clients, one after another. Each that passed says so on a line of its own; tests/run counts."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

from daemon import ROOT, Daemon, databases

HERE = Path(__file__).resolve().parent
PLACE = ROOT / "target/clients"
ADDRESS = "https://desk.example.org"


def run(*command, cwd=PLACE, **more):
    """A program that must do well. Returns what it says."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.returncode}\n{done.stdout[-20000:]}"
    return done.stdout


def documented(language):
    """The command of deploy/CLIENTS.md that makes a client, as words."""
    text = (ROOT / "deploy/CLIENTS.md").read_text()
    section = re.search(rf"^## {language}$(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    [command] = [block for block in blocks if "/openapi" in block]
    return shlex.split(command)


def test_both_documents_are_valid():
    """Both documents, to two validators."""
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

    validators = {"openapi.json": OpenAPIV31SpecValidator, "openapi-3.0.json": OpenAPIV30SpecValidator}
    for name, validator in validators.items():
        file = ROOT / "openapi" / name
        validator(json.loads(file.read_text())).validate()
        said = run("validate-api", file)
        assert '"valid": true' in said, said


def test_the_typescript_client_tells_the_story():
    """Made from what a daemon serves, compiled by the strictest tsc, and used."""
    # npx takes what is installed here.
    work = PLACE
    for name in ["tsconfig.json", "story.ts"]:
        shutil.copy(HERE / name, work)
    with Daemon() as daemon:
        run(*[word.replace(ADDRESS, daemon.url) for word in documented("TypeScript")], cwd=work)
    run("tsc", "--project", work)
    for database in databases():
        with Daemon(database) as daemon:
            run("node", work / "made/story.js", daemon.url, daemon.token, timeout=300)


def test_the_python_client_tells_the_story():
    """Made from what a daemon serves, without a word of warning, and used."""
    work = PLACE / "python"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with Daemon() as daemon:
        words = [word.replace(ADDRESS, daemon.url) for word in documented("Python")]
        words = [str(ROOT / word) if word.startswith("deploy/") else word for word in words]
        said = run(*words, cwd=work)
    assert said == "Generating postroom_client\n", said
    for database in databases():
        with Daemon(database) as daemon:
            run("python", "-W", "error", HERE / "story.py", work, daemon.url, daemon.token, timeout=300)


def main():
    """All of them, or those whose names hold a word that is given."""
    wanted = sys.argv[1:] or [""]
    tests = [test for name, test in globals().items() if name.startswith("test_") and any(w in name for w in wanted)]
    failed = 0
    for test in tests:
        name, begun = test.__name__.removeprefix("test_"), time.monotonic()
        try:
            test()
            print(f"clients: {name} passed ({time.monotonic() - begun:.1f} s)")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            traceback.print_exc()
            print(f"clients: {name} FAILED")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
