// The build may use what development needs; the running app may not.
const isNumber = require("is-number");
require("fs").writeFileSync("built.txt", `built with is-number: ${isNumber(7)}\n`);
