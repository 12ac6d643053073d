"""How much has to be there that a minimal Debian has not."""

import os
import re
import subprocess


class Sizes:
    def __init__(self):
        """Reads what Debian's packages are, if there is apt."""
        self.known, self.provided, self.base = {}, {}, set()
        try:
            text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
        except OSError:
            return
        roots = ["apt"]
        for stanza in text.split("\n\n"):
            package = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.M))
            if "Package" not in package:
                continue
            self.known.setdefault(package["Package"], package)
            for name in re.findall(r"(?:^|, )([^ ,]+)", package.get("Provides", "")):
                self.provided.setdefault(name, package["Package"])
            if package.get("Priority") == "required" or package.get("Essential") == "yes":
                roots.append(package["Package"])
        self.base = self.closure(roots)

    def closure(self, roots):
        """Those packages and all that they depend on: of alternatives the first, unless another is there."""
        found, todo = set(), list(roots)
        while todo:
            name = todo.pop()
            name = name if name in self.known else self.provided.get(name)
            if name is None or name in found:
                continue
            found.add(name)
            needs = ", ".join(filter(None, (self.known[name].get(key) for key in ("Pre-Depends", "Depends"))))
            for need in filter(None, needs.split(", ")):
                names = [re.split(r"[ :(]", one.strip())[0] for one in need.split("|")]
                if not (found | self.base) & set(names):
                    todo.append(names[0])
        return found

    def packages(self, names):
        if any(name not in self.known for name in names):
            return None
        return sum(int(self.known[name]["Installed-Size"]) for name in self.closure(names) - self.base)

    def files(self, *paths):
        """Files, and directories with all that is in them."""
        total = 0
        for path in paths:
            for where, _, names in os.walk(path):
                total += sum(os.path.getsize(os.path.join(where, name)) for name in names)
            total += os.path.getsize(path) if os.path.isfile(path) else 0
        return (total + 1023) // 1024
