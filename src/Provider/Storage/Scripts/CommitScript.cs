using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Applies a delta. It names the session that it is meant for (<see cref="Expected"/>), and writes nothing where another, or
/// none, is found: a session never comes back from the dead. The version afterwards is the caller's, a fresh random number;
/// the answer is the version that it took the place of, so that the caller knows whether it has seen all that is there.
/// <para>
/// Where a session is bounded, another script of the same parts runs: what the caller knew it has counted already, so this one counts only
/// where others committed in between, and before anything is written.
/// </para>
/// <para>
/// Nearly every commit is a plain one: it only sets fields, nobody has changed the session since the caller read it, and the caller knows that its
/// TTL needs no sliding yet. So this is looked at first, and then there is nothing else to find out, which halves what a commit costs Redis.
/// </para>
/// <para>
/// A field that expires by itself has its TTL from Redis, and beside it, as metadata, when that is, for who holds a copy. Both in the step that sets it, by scripts of
/// their own, which ask first whether the server can do it. Whatever is written without one is rid of both.
/// </para>
/// </summary>
internal static class CommitScript
{
    // Answers where nothing was written.
    private const int Changed = 1;
    private const int TooManyFields = 2;
    private const int TooLarge = 3;

    // Answers for a plain commit.
    private const int Plain = 4;

    // Lua's unpack takes some 7,000 arguments.
    private const int MostPlainSets = 2_000;

    private const int Header = SlideTimes.Count + 8;
    private const int BoundedHeader = Header + 3;

    // What the server answers whose Redis, or whose user, has no HPEXPIRE; see FieldExpiry.
    public const string NoFieldExpiry = "NOFIELDEXPIRY ";

    // Arguments of the bound come last in the header. Fields are those that are no metadata, as Clear() has it.
    private const string Bound =
        """
        local known, most_fields, most_bytes = ARGV[14], tonumber(ARGV[15]), tonumber(ARGV[16])
        if (version or '0') ~= known then
          local sizes, fields, bytes = {}, 0, 0
          local function put(name, size)
            if string.sub(name, 1, 1) == '@' and string.sub(name, 1, 2) ~= '@@' then return end
            local old = sizes[name]
            fields = fields + (size and 1 or 0) - (old and 1 or 0)
            bytes = bytes + (size or 0) - (old or 0)
            sizes[name] = size
          end
          for _, name in ipairs(redis.call('HKEYS', key)) do put(name, #name + redis.call('HSTRLEN', key, name)) end
          local fields_before, bytes_before = fields, bytes
          if clear == '1' then sizes, fields, bytes = {}, 0, 0 end
          for i = first_set, last_set, 2 do put(ARGV[i], #ARGV[i] + #ARGV[i + 1]) end
          for i = last_set + 1, last_removed do put(ARGV[i], nil) end
          if fields > most_fields and fields > fields_before then return 2 end
          if bytes > most_bytes and bytes > bytes_before then return 3 end
        end

        """;

    // Asked of a field that never is. A replica's refusal is passed on, for it passes.
    private const string CanExpire =
        $"""
        local can = redis.pcall('HPEXPIRE', key, '1', 'FIELDS', '1', '@')
        if type(can) == 'table' and can['err'] then
          if string.find(can['err'], 'nknown') or string.find(can['err'], 'NOPERM') then return redis.error_reply('{NoFieldExpiry}' .. can['err']) end
          return can
        end

        """;

    private const string Expire =
        $"""
        for i = first_set, last_set, 2 do
          if string.sub(ARGV[i], 1, 3) == '{FieldNames.ExpiryPrefix}' then
            local rest = math.max(tonumber(ARGV[i + 1]) - tonumber(now), 1)
            redis.call('HPEXPIRE', key, string.format('%d', rest), 'FIELDS', '1', string.sub(ARGV[i], 4))
          end
        end

        """;

    // Unless the field was given another expiry meanwhile.
    private const string Forget =
        $"""
        for i = last_removed + 1, #ARGV, 2 do
          local expiry = '{FieldNames.ExpiryPrefix}' .. ARGV[i]
          if redis.call('HGET', key, expiry) == ARGV[i + 1] then redis.call('HDEL', key, ARGV[i], expiry) end
        end

        """;

    private static readonly ChangeScript Script = Compose(Header, "");
    private static readonly ChangeScript BoundedScript = Compose(BoundedHeader, Bound);
    private static readonly ChangeScript ExpiringScript = Compose(Header + 1, "", expires: true);
    private static readonly ChangeScript BoundedExpiringScript = Compose(BoundedHeader + 1, Bound, expires: true);

    // How many there are to be forgotten is the header's last argument.
    private static ChangeScript Compose(int header, string bound, bool expires = false) => new(
        $$"""
        if ARGV[13] ~= '' then
          local known = redis.call('HMGET', KEYS[1], '{{FieldNames.Version}}', '{{FieldNames.Created}}')
          if known[1] == ARGV[13] and known[2] == ARGV[6] then
            changed(KEYS[1], ARGV[8])
            redis.call('HSET', KEYS[1], '{{FieldNames.Version}}', ARGV[8], unpack(ARGV, {{header + 1}}))
            return {{Plain}}
          end
        end

        """ + Parts.CallInPieces + Parts.ReadIdentity + Parts.Slide +
        $$"""
        local expected_created, expected_version, next_version, creation, clear, timeouts, sets = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], tonumber(ARGV[12])
        local first_set, last_set, last_removed = {{header + 1}}, {{header}} + 2 * sets, #ARGV{{(expires ? $" - 2 * tonumber(ARGV[{header}])" : "")}}
        if expected_created ~= '' and created ~= expected_created then return 0 end
        if expected_version ~= '' and (version or '0') ~= expected_version then return version and 1 or 0 end
        {{bound}}{{(expires ? CanExpire : "")}}
        changed(key, next_version)
        if clear == '1' and version then
          local doomed = {}
          for _, name in ipairs(redis.call('HKEYS', key)) do
            if string.sub(name, 1, 1) ~= '@' or string.sub(name, 1, 2) == '@@' or string.sub(name, 1, 3) == '{{FieldNames.ExpiryPrefix}}' then
              doomed[#doomed + 1] = name
            end
          end
          call_in_pieces('HDEL', key, doomed, 1, #doomed)
        end
        if expiring and version then
          local stale = {}
          for i = first_set, last_set, 2 do stale[#stale + 1] = '{{FieldNames.ExpiryPrefix}}' .. ARGV[i] end
          for i = last_set + 1, last_removed do stale[#stale + 1] = '{{FieldNames.ExpiryPrefix}}' .. ARGV[i] end
          call_in_pieces('HDEL', key, stale, 1, #stale)
        end
        {{(expires ? Forget : "")}}
        local first_piece = math.min(last_set, {{header + 4000}})
        if version then
          redis.call('HSET', key, '{{FieldNames.Version}}', next_version, unpack(ARGV, first_set, first_piece))
        else
          created = creation
          redis.call('HSET', key, '{{FieldNames.Version}}', next_version, '{{FieldNames.Created}}', created, unpack(ARGV, first_set, first_piece))
          if KEYS[2] then redis.call('DEL', KEYS[2]) end
        end
        call_in_pieces('HSET', key, ARGV, first_piece + 1, last_set)
        call_in_pieces('HDEL', key, ARGV, last_set + 1, last_removed)
        {{(expires ? Expire : "")}}
        if timeouts == '1' then
          local own = redis.call('HMGET', key, '{{FieldNames.IdleTimeout}}', '{{FieldNames.AbsoluteTimeout}}')
          own_idle, own_absolute = own[1], own[2]
        end
        if slide(timeouts == '1' and 'exactly') then redis.call('HSET', key, '{{FieldNames.LastSeen}}', now) end
        return {version or '0', created}
        """);

    /// <summary>Sends the delta; values are encoded by <paramref name="codec"/> if there is one.</summary>
    /// <param name="database">The connection.</param>
    /// <param name="channel">Who holds copies listens there; null for nobody.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="times">What the TTL follows from.</param>
    /// <param name="version">The version afterwards.</param>
    /// <param name="creation">The creation time of the session if this creates it, Unix milliseconds.</param>
    /// <param name="codec">Null where values are stored as they are.</param>
    /// <param name="seal">What makes all of it one afterwards; null where there is no codec.</param>
    /// <param name="markKey">What says why the session before it ended, and goes where this creates another; null for nothing.</param>
    public static RedisScript.Call Begin(
        IDatabase database, string? channel, CommitRequest request, SlideTimes times, long version, long creation, FieldCodec? codec, byte[]? seal, string? markKey) =>
        ScriptFor(request.Bound, request.Delta.Expires).Begin(
            database, channel, markKey is null ? [request.Key] : [request.Key, markKey], Arguments(request, times, version, creation, codec, seal), request.Turn);

    private static ChangeScript ScriptFor(CommitBound? bound, bool expires) => (bound, expires) switch
    {
        (null, false) => Script,
        (not null, false) => BoundedScript,
        (null, true) => ExpiringScript,
        (not null, true) => BoundedExpiringScript,
    };

    private static RedisValue[] Arguments(CommitRequest request, SlideTimes times, long version, long creation, FieldCodec? codec, byte[]? seal)
    {
        var (delta, expected, bound) = (request.Delta, request.Expected, request.Bound);
        var expires = delta.Expires;
        var header = (bound is null ? Header : BoundedHeader) + (expires ? 1 : 0);
        var arguments = DeltaArguments.Behind(header, request.Key, delta, codec, seal, out var sets);
        var onlySets = !delta.IsCleared && !delta.ChangesTimeouts && arguments.Length == header + (2 * sets) && sets < MostPlainSets && !expires;
        times.WriteTo(arguments);
        arguments[5] = expected.CreatedAt is { } created ? created : RedisValue.EmptyString;
        arguments[6] = expected.Version is { } at ? at : RedisValue.EmptyString;
        arguments[7] = version;
        arguments[8] = creation;
        arguments[9] = delta.IsCleared ? 1 : 0;
        arguments[10] = delta.ChangesTimeouts ? 1 : 0;
        arguments[11] = sets;
        arguments[12] = request.Fresh is { } fresh && onlySets && !delta.TouchesExpiring(fresh.Fields) ? fresh.Version : RedisValue.EmptyString;
        if (bound is { } limited)
        {
            arguments[13] = limited.Known;
            arguments[14] = limited.Limits.Fields;
            arguments[15] = limited.Limits.Bytes;
        }

        if (expires)
        {
            arguments[header - 1] = delta.Forgotten.Count;
        }

        return arguments;
    }

    /// <param name="reply">What Redis answered.</param>
    /// <param name="version">The version afterwards.</param>
    /// <param name="fresh">As it was sent.</param>
    public static CommitReply Reply(RedisResult reply, long version, SessionSnapshot? fresh = null)
    {
        if (reply.Length >= 0)
        {
            return new CommitReply(CommitOutcome.Done, version, (long)reply[0], (long)reply[1]);
        }

        return (int)reply switch
        {
            Plain => new CommitReply(CommitOutcome.Done, version, fresh!.Version, fresh.CreatedAt, KeepsLife: true),
            Changed => new CommitReply(CommitOutcome.Changed),
            TooManyFields => new CommitReply(CommitOutcome.TooManyFields),
            TooLarge => new CommitReply(CommitOutcome.TooLarge),
            ChangeScript.TurnLost => new CommitReply(CommitOutcome.TurnLost),
            _ => new CommitReply(CommitOutcome.Missing),
        };
    }
}

/// <summary>What a commit keeps to.</summary>
/// <param name="Limits">What the session may hold afterwards.</param>
/// <param name="Known">
/// The version whose fields the caller has counted with its own changes; <see cref="SessionSnapshot.NoVersion"/> for a session that it creates.
/// </param>
internal readonly record struct CommitBound(SessionLimits Limits, long Known);
