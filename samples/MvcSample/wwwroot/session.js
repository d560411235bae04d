// Counts the time to live down, by the server's clock.
'use strict';

const ttl = document.getElementById('ttl');
if (ttl) {
  const left = Number(ttl.dataset.expires) - Number(ttl.dataset.now);
  const start = performance.now();
  const two = number => String(number).padStart(2, '0');
  setInterval(() => {
    const seconds = Math.max(0, Math.round((left - (performance.now() - start)) / 1000));
    ttl.textContent = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  }, 1000);
}
