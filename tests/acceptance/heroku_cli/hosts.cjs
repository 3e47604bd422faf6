// Preloaded into the CLI by NODE_OPTIONS: writes down every host it asks for a connection, and changes nothing else.
const fs = require("node:fs");
const net = require("node:net");

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const given = Array.isArray(args[0]) ? args[0][0] : args[0];
  const options = typeof given === "object" && given !== null ? given : { port: given, host: args[1] };
  if (!options.path) fs.appendFileSync(process.env.HOSTS_FILE, `${options.host ?? "localhost"}\n`);
  return connect.apply(this, args);
};
