// Adds to the cart without leaving the page. However many requests are under way at once, each counts.
'use strict';

const count = document.getElementById('cart-count');
const added = document.getElementById('added');
const forms = [...document.querySelectorAll('form[data-add]')];

// Whoever has nothing yet has no session: the first request begins it, and the others wait for its cookie.
let begun = Number(count.textContent) > 0 ? Promise.resolve() : null;

async function send(form) {
  const response = await fetch(form.action, { method: 'POST', body: new FormData(form), headers: { Accept: 'application/json' } });
  if (!response.ok) {
    throw new Error(response.statusText);
  }
}

async function add(form) {
  if (begun) {
    await begun;
    await send(form);
  } else {
    begun = send(form);
    await begun;
  }
}

async function addAll(some) {
  added.textContent = '';
  try {
    await Promise.all(some.map(add));
    const cart = await (await fetch('/api/cart')).json();
    count.textContent = cart.reduce((sum, line) => sum + line.quantity, 0);
    added.textContent = some.length === 1 ? 'Added.' : `${some.length} added at once.`;
  } catch {
    begun = null;
    added.textContent = 'That did not work. Load the page again.';
  }
}

for (const form of forms) {
  form.addEventListener('submit', event => {
    event.preventDefault();
    addAll([form]);
  });
}

const all = document.getElementById('add-all');
all.hidden = false;
all.addEventListener('click', () => addAll(forms));
