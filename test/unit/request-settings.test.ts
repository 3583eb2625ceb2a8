// What: settings of requests: obeyed, fixed, ignored, refused.
// Why: a setting that is passed over in silence changes answers behind the client's back.
// Invariant: each listed setting is accepted with the value that system.settings shows.

import { describe, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import {
  checkSettings,
  isOff,
  limitsFor,
  listedSettings,
  mayOnlyRead,
} from '../../src/statements/request-settings.ts';

const refusal = (name: string, value: string): string => {
  try {
    checkSettings({ [name]: value });
  } catch (error) {
    if (error instanceof ZeptoError) return error.message;
  }
  return '';
};

describe('a setting', () => {
  test('is accepted with every value that system.settings shows', () => {
    const listed = listedSettings({});
    expect(listed.length).toBeGreaterThan(40);
    for (const { name, value, default: standard, changed } of listed) {
      expect(changed, name).toBe(false);
      expect(value, name).toBe(standard);
      if (value !== '') expect(refusal(name, value), name).toBe('');
    }
  });

  test.each([
    ['max_rezult_rows', '5', 'not known; did you mean max_result_rows?'],
    ['additional_result_filter', "x != 'y'", 'the setting additional_result_filter is not known'],
    ['session_timezone', 'Europe/Berlin', 'it is UTC here'],
    ['result_overflow_mode', 'break', 'it is throw here'],
    ['output_format_json_quote_decimals', '1', 'it is 0 here'],
    ['compress', '1', 'enable_http_compression'],
    ['max_result_rows', 'many', 'a number is wanted'],
    ['view_rewrite', '2', '0 or 1 is wanted'],
  ])('%s = %s is refused: %s', (name, value, message) => {
    expect(refusal(name, value)).toContain(message);
  });

  test.each([
    ['session_timezone', 'Etc/UTC'],
    ['max_threads', '4'],
    ['send_progress_in_http_headers', '1'],
    ['allow_experimental_analyzer', '1'],
    ['log_comment', "'; DROP TABLE trades"],
    ['client_protocol_version', '54405'],
  ])('%s = %s changes nothing', (name, value) => {
    expect(refusal(name, value)).toBe('');
    const limits = { rowsMax: 10, bytesMax: 10, timeoutMs: 10 };
    expect(limitsFor({ [name]: value }, limits)).toEqual(limits);
  });

  test('lowers a bound, and never raises one', () => {
    const limits = { rowsMax: 100, bytesMax: 1000, timeoutMs: 5000 };
    expect(
      limitsFor({ max_result_rows: '7', max_memory_usage: '99', max_execution_time: '1.5' }, limits),
    ).toEqual({ rowsMax: 7, bytesMax: 99, timeoutMs: 1500 });
    expect(
      limitsFor({ max_result_rows: '101', max_memory_usage: '0', max_execution_time: '9' }, limits),
    ).toEqual(limits);
  });

  test('shows in system.settings as the request has it', () => {
    const byName = new Map(
      listedSettings({ max_result_rows: '7' }).map((setting) => [setting.name, setting]),
    );
    expect(byName.get('max_result_rows')).toMatchObject({ value: '7', changed: true, isReadonly: false });
    expect(byName.get('session_timezone')).toMatchObject({ value: 'UTC', isReadonly: true });
    expect(byName.get('enable_http_compression')).toMatchObject({ isReadonly: false });
  });

  test('readonly takes the right to write, view_rewrite = 0 turns rewriting off', () => {
    expect([mayOnlyRead({}), mayOnlyRead({ readonly: '0' }), mayOnlyRead({ readonly: '2' })]).toEqual([
      false,
      false,
      true,
    ]);
    expect([isOff(undefined), isOff('1'), isOff('0'), isOff('false')]).toEqual([false, false, true, true]);
  });
});
