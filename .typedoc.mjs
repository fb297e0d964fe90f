/** The API reference of the libraries; what is public and has no docstring is an error. */
import { existsSync } from 'node:fs';

export default {
  name: 'Hawser',
  entryPoints: ['client', 'shim', 'ttrpc', 'runc', 'api'].map((room) => `src/${room}/index.ts`).filter((file) => existsSync(file)),
  tsconfig: 'tsconfig.json',
  plugin: [
    'typedoc-plugin-markdown'
  ],
  out: 'dist/docs',
  readme: 'none',
  exclude: [
    '**/gen/**'
  ],
  excludeExternals: true,
  excludePrivate: true,
  excludeInternal: true,
  githubPages: false,
  disableSources: true,
  sort: [
    'source-order'
  ],
  logLevel: 'Warn',
  requiredToBeDocumented: [
    'Function',
    'Class',
    'Interface',
    'Method',
    'TypeAlias',
    'Variable',
    'Constructor'
  ],
  validation: {
    notDocumented: true,
    notExported: false,
    invalidLink: true,
    invalidPath: true
  },
  treatValidationWarningsAsErrors: true
};
