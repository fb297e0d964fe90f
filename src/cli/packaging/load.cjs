'use strict';
/*
 * Loads the bundled command line with V8's compiled code beside it, as shim/load.cjs does it for the shim: a command that takes
 * twenty milliseconds would be compiled for a hundred. The code is made by `make build` for one version of Node; any other, or none,
 * and the bundle is compiled as usual.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

/** Flags before the command that have a value. */
const VALUED = new Set('-a --address -n --namespace --cni-path --cni-netconfpath'.split(' '));

/** The command that is asked most has a bundle of its own. */
function isListing(args) {
  const at = args.findIndex((arg, n) => !arg.startsWith('-') && !VALUED.has(args[n - 1]));
  return args[at] === 'ps' || args[at] === 'ls';
}

function tryRead(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What of Node takes a millisecond or several to load, and most commands do without. */
const LATE = new Set(
  'child_process crypto dns fs/promises http https http2 module os readline stream/promises tls zlib'.split(' '),
);

/** As require, but such a module is loaded when something of it is asked for, and not by who may ask some time. */
function requireLate(id) {
  const name = id.replace(/^node:/, '');
  if (!LATE.has(name)) return require(id);
  return new Proxy(Object.create(null), {
    get: (_, key) => require(name)[key],
    has: (_, key) => key in require(name),
    ownKeys: () => Reflect.ownKeys(require(name)),
    getOwnPropertyDescriptor: (_, key) => ({
      ...Reflect.getOwnPropertyDescriptor(require(name), key),
      configurable: true,
    }),
  });
}

const own = isListing(process.argv.slice(2)) ? tryRead(`${__dirname}/hawser.ps.bundle.js`) : undefined;
const name = own ? 'hawser.ps' : 'hawser';
const cacheFile = `${__dirname}/${name}.cache`;
const bundle = own ?? readFileSync(`${__dirname}/hawser.bundle.js`);
// It is plain ASCII: as latin1 it takes one byte for each character in memory.
const source = `(function(require,module,exports,__dirname){${bundle.latin1Slice()}\n})`;
// Only a name: the path of where it was built would go into the compiled code.
const script = new Script(source, { filename: `${name}.bundle.js`, cachedData: tryRead(cacheFile) });
script.runInThisContext()(requireLate, module, exports, __dirname);
// Of what was there already, and of what this command has needed.
if (process.env.HAWSER_WRITE_CODE_CACHE === '1')
  process.on('exit', () => writeFileSync(cacheFile, script.createCachedData()));
