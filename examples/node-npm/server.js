// Answers with what the build made, so that one sees that it ran.
const fs = require("fs");
const http = require("http");
const ms = require("ms");

const built = fs.readFileSync("built.txt", "utf8").trim();
http
  .createServer((request, response) => {
    response.end(`Node ${process.versions.node}, ${built}, two days are ${ms("2 days")} ms\n`);
  })
  .listen(process.env.PORT, "0.0.0.0");
