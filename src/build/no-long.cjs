// Stands for the package `long` in the bundled shim, see bundle.ts: protobufjs then reads 64-bit fields as numbers.
module.exports = null;
