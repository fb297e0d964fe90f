/** Answers that need no JavaScript: the requests are known as bytes, and so is what they are answered with. */
import { checked } from './error.js';
import { native } from './native.js';

/** How a request begins, without its time limit and its metadata; and the frame that answers it, for any stream. */
export interface Answer {
  readonly request: Uint8Array;
  readonly reply: Uint8Array;
}

/** How some requests begin, and what makes what is in the frame that answers them: anew each time, by whoever does it. */
export interface CookedAnswer {
  readonly requests: readonly Uint8Array[];
  /** The steps of a {@link Recipe}. */
  readonly recipe: Uint8Array;
}

/** As the monitor's record has them (struct answer_texts of monitor/handover.h). */
export function bytesOfAnswers(answers: readonly Answer[]): Buffer {
  return Buffer.concat(answers.flatMap(({ request, reply }) => textsOf(request, reply)));
}

/** The same of recipes: the last of those that have one in common has it. */
export function bytesOfCooked(answers: readonly CookedAnswer[]): Buffer {
  return Buffer.concat(
    answers.flatMap(({ requests, recipe }) =>
      requests.flatMap((request, index) => textsOf(request, index === requests.length - 1 ? recipe : NOTHING)),
    ),
  );
}

const NOTHING = new Uint8Array(0);

function textsOf(request: Uint8Array, reply: Uint8Array): Uint8Array[] {
  return [Buffer.from(Uint32Array.of(request.length, reply.length).buffer), request, reply];
}

/** From now on these are given on each connection that is {@link Watch.answers | watched for it}, in place of those that were. */
export function keepAnswers(answers: readonly Answer[]): void {
  checked(native.answersKeep(bytesOfAnswers(answers)), 'answers');
}

/** From now on all is asked of JavaScript again. How many answers were given. */
export function forgetAnswers(): number {
  return native.answersForget();
}
