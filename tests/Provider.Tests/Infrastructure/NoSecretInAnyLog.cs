using System.Collections.Concurrent;
using Microsoft.AspNetCore.DataProtection;

[assembly: AssemblyFixture(typeof(NoSecretInAnyLog))]

namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// Collects every session cookie that a browser of the whole run was given and everything that every site logged at Trace,
/// and at the end looks for the one in the other.
/// </summary>
public sealed class NoSecretInAnyLog : IDisposable
{
    private static readonly ConcurrentDictionary<string, byte> Secrets = new();
    private static readonly ConcurrentQueue<string> Lines = new();

    public static void AddCookie(string cookie, IDataProtectionProvider? protection)
    {
        Secrets.TryAdd(cookie, 0);
        if (protection is not null)
        {
            var text = Uri.UnescapeDataString(cookie);
            var key = protection.CreateProtector("SessionMiddleware").Unprotect(Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '=')));
            Secrets.TryAdd(System.Text.Encoding.UTF8.GetString(key), 0);
        }
    }

    public static void AddLine(string line) => Lines.Enqueue(line);

    public void Dispose()
    {
        // Lines are long and secrets are many: every word of a line is looked up, not every secret searched for.
        foreach (var line in Lines)
        {
            foreach (var word in line.Split([' ', ',', ';', '=', ':', '"', '\'', '(', ')', '[', ']', '{', '}', '\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries))
            {
                if (Secrets.ContainsKey(word))
                {
                    throw new InvalidOperationException($"A session's secret was logged: {line.Replace(word, "***", StringComparison.Ordinal)}");
                }
            }
        }
    }
}
