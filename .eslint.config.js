import { fileURLToPath } from 'node:url';
import tseslint from 'typescript-eslint';
import { moduleState } from './.eslint.module-state.js';

/** A room of src/ and the rooms it must not look into: imports point downwards only. */
const above = {
  text: ['sys', 'ttrpc', 'api', 'oci', 'runc', 'shim', 'daemon', 'client', 'cli'],
  sys: ['ttrpc', 'api', 'oci', 'runc', 'shim', 'daemon', 'client', 'cli'],
  ttrpc: ['api', 'oci', 'runc', 'shim', 'daemon', 'client', 'cli'],
  api: ['oci', 'runc', 'shim', 'daemon', 'client', 'cli'],
  oci: ['runc', 'shim', 'daemon', 'client', 'cli'],
  runc: ['api', 'ttrpc', 'shim', 'daemon', 'client', 'cli'],
  shim: ['daemon', 'client', 'cli'],
  daemon: ['shim', 'client', 'cli'],
  client: ['shim', 'daemon', 'cli'],
  cli: ['daemon'],
};

/** The same inside the daemon. Only plugins.ts, which lists what stock/ registers, looks into that. */
const services = ['tasks', 'sandboxes', 'monitor', 'restart', 'shims'];
const daemon = {
  '*': ['stock'],
  db: ['content', 'snapshots', 'diff', 'transfer', 'metadata', 'plugin', ...services, 'stock'],
  content: ['snapshots', 'diff', 'transfer', 'metadata', 'plugin', ...services, 'stock'],
  snapshots: ['content', 'transfer', 'metadata', 'plugin', ...services, 'stock'],
  diff: ['transfer', 'metadata', 'plugin', ...services, 'stock'],
  transfer: ['metadata', 'plugin', ...services, 'stock'],
  metadata: ['diff', 'transfer', 'plugin', ...services, 'stock'],
};

// Of several that match a file the last one counts.
const floors = [
  ...Object.entries(above),
  ...Object.entries(daemon).map(([room, forbidden]) => [`daemon/${room}`, [...above.daemon, ...forbidden]]),
];

const boundaries = floors.map(([room, forbidden]) => ({
  files: [`src/${room}/**/*.ts`],
  ignores: room === 'daemon/*' ? ['src/daemon/stock/*.ts'] : [],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: forbidden.flatMap((name) => [`**/${name}/**`]),
            message: `src/${room} lies below these rooms and must not import them.`,
          },
        ],
      },
    ],
  },
}));

/** The record is the ground of the shim: from src/shim/record, `../x` is another room of it. */
const ground = {
  files: ['src/shim/record/**/*.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: '^\\.\\./(?!\\.\\./api/errdefs\\.js$)',
            message:
              'src/shim/record holds types and pure functions, and imports nothing but its own files and api/errdefs.',
          },
        ],
      },
    ],
  },
};

/** States change by the table alone. */
const states = {
  files: ['src/shim/**/*.ts'],
  ignores: ['src/shim/record/states.ts'],
  rules: {
    'no-restricted-syntax': [
      'error',
      {
        selector: "AssignmentExpression[left.property.name='state']",
        message: 'A state is changed by move() of record/states.ts, which knows what may follow.',
      },
    ],
  },
};

/** A shim's state belongs to its service; examples are a program each. */
const state = {
  files: ['src/shim/**/*.ts'],
  ignores: ['src/shim/example/**'],
  plugins: { hawser: { rules: { 'module-state': moduleState } } },
  rules: { 'hawser/module-state': 'error' },
};

export default tseslint.config(
  { ignores: ['dist/**', 'bin/**', '**/gen/**', 'node_modules/**', '**/*.cjs', '**/*.mjs', '.eslint.*.js'] },
  ...tseslint.configs.recommendedTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: fileURLToPath(new URL('.', import.meta.url)) },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/prefer-nullish-coalescing': 'off',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    // node:test's test() and suite() return promises that the runner itself awaits.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'describe', 'it', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
    },
  },
  ...boundaries,
  ground,
  states,
  state,
);
