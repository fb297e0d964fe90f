/** hawser: from the command line to a command. What only some commands need is loaded by them. */
import { begin } from './begin.js';
import { program } from './program/index.js';

begin(program);
