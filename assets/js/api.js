// Asks the lab's JSON interface. Whatever goes wrong is an Error whose message can be shown to a
// person; where settings are wrong its `problems` say what, by field.

/** GET `path` under lab/api; with `body` a POST of that object, with `method` any other. Returns the answer's JSON. */
export async function api(path, body, method = body === undefined ? 'GET' : 'POST') {
  let answer;
  try {
    answer = await fetch(new URL(`lab/api/${path.replace(/^\//, '')}`, document.baseURI), {
      method, cache: 'no-store', credentials: 'same-origin',
      ...(body === undefined ? {} : {headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)}),
    });
  } catch {
    throw new Error('The lab does not answer. Is it still running?');
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told;
  const said = told && typeof told.detail === 'string' ? told.detail : `The lab refused this (${answer.status} ${answer.statusText}).`;
  throw Object.assign(new Error(said), {problems: (told && told.problems) || {}});
}
