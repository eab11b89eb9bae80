// Times and days as this reader's language and time zone write them. Pure but for that setting.

const time = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

export const timeOf = (at) => written(time, at);
export const exactTimeOf = (at) => written(exact, at);
export const dayOf = (at) => written(day, at);
export const isoOf = (at) => (isDate(at) ? new Date(at).toISOString() : '');

/** A range of times, one time if both are in the same minute. */
export const spanOf = (from, to) =>
  timeOf(from) === timeOf(to) ? `at ${timeOf(to)}` : `from ${timeOf(from)} to ${timeOf(to)}`;

const written = (format, at) => (isDate(at) ? format.format(at) : '');
const isDate = (at) => !Number.isNaN(new Date(at).getTime());
