/* Ruby tells 1 from 1.0, JavaScript does not, and JSON only by how the number is spelled. Here is the one place that
 * spells a Float: always with a point or an exponent, so that no reader takes it for an Integer. */
import { AssuranceError } from "@assured-jobs/core";

/** A number that Ruby reads as a Float, also when it is whole. Make it with `rubyFloat()`. */
export class RubyFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  /** Elsewhere, such as in a log, it is the plain number. */
  toJSON(): number {
    return this.value;
  }
}

/**
 * `rubyFloat(1)` arrives in Ruby as `1.0`; a plain `1` arrives as the Integer 1. Numbers with a fraction need none.
 *
 * @throws AssuranceError ERR_OPTION for NaN, infinities and what is no number: JSON has no text for them.
 */
export function rubyFloat(value: number): RubyFloat {
  if (Number.isFinite(value)) return new RubyFloat(value);
  throw new AssuranceError("ERR_OPTION", `rubyFloat: expected a finite number, got ${String(value)}.`);
}

/** `1` as `1.0`, `-0` as `-0.0`, `1e21` as it is. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
