'use strict';
/*
 * Loads the bundled shim with V8's compiled code beside it, which saves compiling it anew for each container. The code
 * is made by `make build` for one version of Node; any other, or none, and the bundle is compiled as usual.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

// What the bundle needs of Node, while V8's flags are those under which Node has compiled it.
for (const id of ['events', 'module', 'net', 'os', 'path', 'perf_hooks', 'timers/promises', 'url', 'util'])
  require(`node:${id}`);
// What is done for the second time is then as fast as it gets without a compiler: a zygote rehearses only a few times.
setFlagsFromString('--no-lazy-feedback-allocation');
// Else a busy hour leaves a shim with tens of megabytes of room for garbage (how much larger each time; percent).
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=50');

const file = `${__dirname}/shim.bundle.js`;
const cacheFile = `${__dirname}/shim.cache`;

function tryRead(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

// The bundle is plain ASCII: as latin1 it takes one byte for each character in memory.
const source = `(function(require,module,exports,__dirname){${readFileSync(file, 'latin1')}\n})`;
const writing = process.env.HAWSER_WRITE_CODE_CACHE === '1';
// Only a name: the path of where it was built would go into the compiled code.
const script = new Script(source, { filename: 'shim.bundle.js', cachedData: writing ? undefined : tryRead(cacheFile) });
script.runInThisContext()(require, module, exports, __dirname);
// When it ends: by then everything that starting and serving need has been compiled.
if (writing) process.on('exit', () => writeFileSync(cacheFile, script.createCachedData()));
