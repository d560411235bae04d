// Five requests at once to each of two carts.
'use strict';

const form = document.getElementById('compare');
const button = document.getElementById('add-five');
const outputs = { session: document.getElementById('in-session'), blob: document.getElementById('in-blob') };

function post(url, item) {
  const body = new FormData(form);
  body.append('item', item);
  return fetch(url, { method: 'POST', body });
}

form.addEventListener('submit', async event => {
  event.preventDefault();
  button.disabled = true;
  outputs.session.textContent = outputs.blob.textContent = '…';
  await post(form.dataset.begin, 0);
  const items = [1, 2, 3, 4, 5];
  await Promise.all(items.map(item => post(form.dataset.addToSession, item)));
  await Promise.all(items.map(item => post(form.dataset.addToBlob, item)));
  const counts = await (await fetch(form.dataset.counts)).json();
  outputs.session.textContent = counts.session;
  outputs.blob.textContent = counts.blob;
  button.disabled = false;
});
