'use strict';
/*
 * Loads the bundled shim with V8's compiled code beside it, which saves compiling it anew for each container. The code
 * is made by `make build` for one version of Node; any other, or none, and the bundle is compiled as usual.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

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
