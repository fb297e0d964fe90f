/** Templates of `--format`, with docker's functions: `json`, `join`, `split`, `upper`, `lower`, `title` beside Go's own. */
import { stringifyExact } from '../../oci/json.js';
import { compileTemplate, GO_FUNCTIONS, show, type Functions } from '../../oci/template.js';
import { UsageError } from '../errors.js';

const functions: Functions = {
  json: (value) => stringifyExact(value),
  join: (list, separator) => (Array.isArray(list) ? list.map(show).join(show(separator)) : show(list)),
  split: (text, separator) => show(text).split(show(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/\b\w/g, (letter) => letter.toUpperCase()),
  ...GO_FUNCTIONS,
};

/** Compiles a template once; what comes of it renders one value. `\t` and `\n` mean what they mean in Go. */
export function compile(template: string): (value: unknown) => string {
  return compileTemplate(template.replace(/\\t/g, '\t').replace(/\\n/g, '\n'), {
    functions,
    fault: (reason) => new UsageError(`--format ${JSON.stringify(template)}: ${reason}`),
  });
}
