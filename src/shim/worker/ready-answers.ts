/**
 * Answers for who asks over and over how containers are, while nothing changes: they are ready where connections are looked at
 * (sys/answers.ts), and JavaScript does not hear of it. The next change of anything that another process would have to know takes them away, and so
 * does each request that is more than a question.
 */
import { forgetAnswers, keepAnswers, type Answer } from '../../sys/index.js';

/** So many questions since the last change are worth it: a life has fewer, and a client that polls soon has more. */
const WORTH_QUESTIONS = 8;

export interface AnswerKeeper {
  keep: (answers: readonly Answer[]) => void;
  /** Gives how many were given. */
  forget: () => number;
}

export class ReadyAnswers {
  #questions = 0;
  /** Requests that are more than a question, and are not answered yet. */
  #underWay = 0;
  #isPlanned = false;
  #areReady = false;

  /**
   * @param make the answers as of now
   * @param given so many were given without anybody here
   */
  constructor(
    private readonly make: () => readonly Answer[],
    private readonly given: (count: number) => void,
    private readonly keeper: AnswerKeeper = { keep: keepAnswers, forget: forgetAnswers },
  ) {}

  /** A question has come that an answer could be ready for. */
  asked(): void {
    // One that none of them answers: to make them anew is no help.
    if (this.#areReady) return;
    if (++this.#questions < WORTH_QUESTIONS || this.#underWay > 0 || this.#isPlanned) return;
    this.#isPlanned = true;
    // Not before this one is answered.
    setImmediate(() => {
      this.#isPlanned = false;
      if (this.#questions < WORTH_QUESTIONS || this.#underWay > 0) return;
      this.#areReady = true;
      this.keeper.keep(this.make());
    });
  }

  begun(): void {
    this.#underWay++;
    this.changed();
  }

  done(): void {
    this.#underWay--;
  }

  /** What was ready may be wrong now. */
  changed(): void {
    this.#questions = 0;
    if (!this.#areReady) return;
    this.#areReady = false;
    this.given(this.keeper.forget());
  }
}
