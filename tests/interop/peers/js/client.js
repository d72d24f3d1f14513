// grpc-js plays the interop cases on raw octets against ours: client.js TARGET [IDLE_MS].
"use strict";
const assert = require("node:assert/strict");
const { setTimeout: sleep } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");

const [target, idle] = process.argv.slice(2);
const special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
const same = (octets) => octets;
const options = { "grpc.max_receive_message_length": -1, "grpc.keepalive_time_ms": 10000, "grpc.keepalive_permit_without_calls": 1 };
const connect = (more) => new grpc.Client(target, grpc.credentials.createInsecure(), { ...options, ...more });
const client = connect({});

function unary(name, request, { metadata = new grpc.Metadata(), by = client, cancelMs, ...rest } = {}) {
  return new Promise((resolve, reject) => {
    const call = by.makeUnaryRequest(`/t.Test/${name}`, same, same, request, metadata, rest,
      (error, reply) => (error ? reject(error) : resolve(reply)));
    if (cancelMs) setTimeout(() => call.cancel(), cancelMs);
  });
}

async function echoes(by) {
  for (const octets of [0, 1, 70000, 10000000]) {
    assert.equal((await unary("Echo", Buffer.alloc(octets), { by })).length, octets);
  }
}

const cases = {
  unary: () => echoes(client),
  async gzip() {
    const packing = connect({ "grpc.default_compression_algorithm": 2 });
    await echoes(packing);
    assert.equal((await unary("Packed", Buffer.alloc(100000), { by: packing })).length, 100000);
    packing.close();
  },
  deadline: () => assert.rejects(unary("Hang", Buffer.alloc(0), { deadline: Date.now() + 100 }), { code: 4 }),
  cancel: () => assert.rejects(unary("Hang", Buffer.alloc(0), { cancelMs: 100 }), { code: 1 }),
  metadata: () => new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    metadata.set("initial", "value");
    metadata.set("trailing-bin", Buffer.from([0xab, 0xab]));
    const call = client.makeBidiStreamRequest("/t.Test/Metadata", same, same, metadata);
    let head;
    call.on("metadata", (found) => { head = found; });
    call.on("error", reject);
    call.on("data", (reply) => assert.equal(reply.toString(), "x"));
    call.on("status", (status) => {
      try {
        assert.equal(status.code, 0);
        assert.deepEqual(head.get("initial"), ["value"]);
        assert.deepEqual(status.metadata.get("trailing-bin"), [Buffer.from([0xab, 0xab])]);
        resolve();
      } catch (error) { reject(error); }
    });
    call.end(Buffer.from("x"));
  }),
  async status() {
    await assert.rejects(unary("Status", Buffer.from(special)), (error) => {
      assert.equal(error.code, 2);
      assert.equal(error.details, special);
      assert.deepEqual(error.metadata.get("why-bin"), [Buffer.from([0, 1])]);
      return true;
    });
    await assert.rejects(unary("Nothing", Buffer.alloc(0)), { code: 12 });
  },
  ping_pong: () => new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest("/t.Test/PingPong", same, same);
    const sizes = [27182, 8, 1828, 45904, 0];
    let at = 0;
    call.on("error", reject);
    call.on("data", (reply) => {
      if (reply.length !== sizes[at]) reject(new Error(`${sizes[at]} came back as ${reply.length}`));
      at += 1;
      if (at < sizes.length) call.write(Buffer.alloc(sizes[at]));
      else call.end();
    });
    call.on("end", () => (at === sizes.length ? resolve() : reject(new Error("too short"))));
    call.write(Buffer.alloc(sizes[0]));
  }),
  async concurrent() {
    await Promise.all(Array.from({ length: 100 }, async (_, task) => {
      for (let number = 0; number < 20; number += 1) {
        assert.equal((await unary("Echo", Buffer.from(`${task} ${number}`))).toString(), `${task} ${number}`);
      }
    }));
  },
};

async function main() {
  const found = {};
  const wanted = idle
    ? { idle: async () => { await unary("Echo", Buffer.alloc(0)); await sleep(Number(idle)); assert.equal(client.getChannel().getConnectivityState(false), 2); await unary("Echo", Buffer.alloc(0)); } }
    : cases;
  for (const [name, run] of Object.entries(wanted)) {
    try {
      await run();
      found[name] = "";
    } catch (error) {
      found[name] = String(error && error.stack);
    }
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

main();
