namespace RedisSessions.Tests.Docs;

/// <summary>A code block of a package's README.md or of docs.</summary>
/// <param name="Where">File and line.</param>
/// <param name="Lines">Without their indentation.</param>
internal sealed record CodeBlock(string Where, IReadOnlyList<string> Lines)
{
    private const string Indentation = "    ";
    private const string Fence = "```";

    /// <summary>What is typed at a prompt, and not into a program.</summary>
    public bool IsCommand => Lines[0].StartsWith("dotnet ", StringComparison.Ordinal) || Lines[0].Contains(" dotnet ", StringComparison.Ordinal) || Lines[0].StartsWith("> ", StringComparison.Ordinal);

    public static IEnumerable<CodeBlock> All => Directory.GetFiles(Path.Combine(RepositoryRoot.Path, "docs"), "*.md")
        .Append(Path.Combine(RepositoryRoot.Path, "README.md"))
        .Append(Path.Combine(RepositoryRoot.Path, "src", "BackChannelLogout", "README.md"))
        .Order(StringComparer.Ordinal)
        .SelectMany(path => In(Path.GetRelativePath(RepositoryRoot.Path, path), File.ReadAllLines(path)));

    /// <summary>What stands between fences, or behind four spaces and below an empty line.</summary>
    private static IEnumerable<CodeBlock> In(string file, string[] lines)
    {
        for (var i = 0; i < lines.Length; i++)
        {
            var first = i;
            var block = new List<string>();
            if (lines[i].StartsWith(Fence, StringComparison.Ordinal))
            {
                for (i++; lines[i] != Fence; i++)
                {
                    block.Add(lines[i]);
                }
            }
            else if (IsIndented(i) && i > 0 && lines[i - 1].Length == 0)
            {
                for (; i < lines.Length && (IsIndented(i) || (lines[i].Length == 0 && i + 1 < lines.Length && IsIndented(i + 1))); i++)
                {
                    block.Add(lines[i].Length == 0 ? "" : lines[i][Indentation.Length..]);
                }
            }

            if (block.Count > 0)
            {
                yield return new CodeBlock($"{file}:{first + 1}", block);
            }
        }

        bool IsIndented(int i) => lines[i].StartsWith(Indentation, StringComparison.Ordinal);
    }
}
