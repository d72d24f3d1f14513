// grpc-js serves the interop methods on raw octets, says where, and ends with its standard input.
"use strict";
const grpc = require("@grpc/grpc-js");

const unary = (call, callback) => callback(null, call.request);

const handlers = {
  Echo: [false, false, unary],
  Packed: [false, false, unary],
  Status: [false, false, (call, callback) => {
    const metadata = new grpc.Metadata();
    metadata.set("why-bin", Buffer.from([0, 1]));
    callback({ code: grpc.status.UNKNOWN, details: call.request.toString(), metadata });
  }],
  Hang: [false, false, () => {}],
  Total: [true, false, (call, callback) => {
    let total = 0;
    call.on("data", (request) => { total += request.length; });
    call.on("end", () => callback(null, Buffer.from(String(total))));
  }],
  Spell: [false, true, (call) => {
    for (const size of call.request.toString().split(",")) call.write(Buffer.alloc(Number(size)));
    call.end();
  }],
  PingPong: [true, true, (call) => call.pipe(call)],
  Metadata: [true, true, (call) => {
    const head = new grpc.Metadata();
    head.set("initial", call.metadata.get("initial")[0]);
    call.sendMetadata(head);
    call.on("data", (request) => call.write(request));
    call.on("end", () => {
      const trailing = new grpc.Metadata();
      trailing.set("trailing-bin", call.metadata.get("trailing-bin")[0]);
      call.end(trailing);
    });
  }],
};

const same = (octets) => octets;
const service = {};
const implementation = {};
for (const [name, [requestStream, responseStream, handler]] of Object.entries(handlers)) {
  service[name] = {
    path: `/t.Test/${name}`, requestStream, responseStream,
    requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
  };
  implementation[name] = handler;
}

const age = Number(process.argv[2]);
const options = { "grpc.max_receive_message_length": -1, "grpc.default_compression_algorithm": 2 };
if (age) Object.assign(options, { "grpc.max_connection_age_ms": age, "grpc.max_connection_age_grace_ms": 10000 });
const server = new grpc.Server(options);
server.addService(service, implementation);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`127.0.0.1:${port}`);
});
process.stdin.on("end", () => process.exit(0)).resume();
