// What a bundler does: the source goes into dist/, under names that change with what is in them.
const { createHash } = require("crypto");
const fs = require("fs");

fs.mkdirSync("dist/assets", { recursive: true });
const script = fs.readFileSync("src/main.js");
const name = `main-${createHash("sha256").update(script).digest("hex").slice(0, 10)}.js`;
fs.writeFileSync(`dist/assets/${name}`, script);
fs.writeFileSync("dist/index.html", fs.readFileSync("src/index.html", "utf8").replace("main.js", `/assets/${name}`));
