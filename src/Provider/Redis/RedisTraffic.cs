using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using StackExchange.Redis;
using StackExchange.Redis.Configuration;

namespace RedisSessions.Redis;

/// <summary>
/// Counts the bytes that a connection really sends and receives, the client's own included, at the socket: the client does not
/// tell. With TLS these are the encrypted ones.
/// </summary>
/// <param name="reconnect">Learns how long it takes to connect; null for nobody.</param>
internal sealed class RedisTraffic(ReconnectSoon? reconnect) : Tunnel
{
    private readonly ConditionalWeakTable<Socket, object> _begun = [];
    private long _sent;
    private long _received;

    public long Sent => Interlocked.Read(ref _sent);

    public long Received => Interlocked.Read(ref _received);

    public override ValueTask BeforeSocketConnectAsync(EndPoint endPoint, ConnectionType connectionType, Socket? socket, CancellationToken cancellationToken)
    {
        if (reconnect is not null && socket is not null)
        {
            _begun.AddOrUpdate(socket, Environment.TickCount64);
        }

        return default;
    }

    public override ValueTask<Stream?> BeforeAuthenticateAsync(EndPoint endpoint, ConnectionType connectionType, Socket? socket, CancellationToken cancellationToken)
    {
        if (socket is null)
        {
            return new((Stream?)null);
        }

        if (_begun.TryGetValue(socket, out var begun))
        {
            reconnect?.Note(Environment.TickCount64 - (long)begun);
        }

        return new(new CountedStream(new NetworkStream(socket), this));
    }

    /// <summary>
    /// Around a NetworkStream, not derived from it: of a derived one the synchronous members go through a further array.
    /// </summary>
    private sealed class CountedStream(NetworkStream inner, RedisTraffic traffic) : Stream
    {
        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override bool CanTimeout => inner.CanTimeout;

        public override int ReadTimeout
        {
            get => inner.ReadTimeout;
            set => inner.ReadTimeout = value;
        }

        public override int WriteTimeout
        {
            get => inner.WriteTimeout;
            set => inner.WriteTimeout = value;
        }

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer) => CountReceived(inner.Read(buffer));

        public override int Read(byte[] buffer, int offset, int count) => CountReceived(inner.Read(buffer, offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = inner.ReadAsync(buffer, cancellationToken);
            return read.IsCompletedSuccessfully ? new ValueTask<int>(CountReceived(read.Result)) : AwaitAsync(read);
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            CountSent(buffer.Length);
            inner.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            CountSent(buffer.Length);
            return inner.WriteAsync(buffer, cancellationToken);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
            }

            base.Dispose(disposing);
        }

        private void CountSent(int count) => Interlocked.Add(ref traffic._sent, count);

        private int CountReceived(int count)
        {
            Interlocked.Add(ref traffic._received, count);
            return count;
        }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        private async ValueTask<int> AwaitAsync(ValueTask<int> read) => CountReceived(await read.ConfigureAwait(false));
    }
}
