namespace RedisSessions.Tests.Model;

/// <summary>
/// Where the contract leaves more than one outcome (a reply that was lost), the model asks here which to follow; the run
/// is made again with the next answers until one agrees with what was seen.
/// </summary>
internal sealed class Choices
{
    private readonly List<(int Taken, int Of)> _choices = [];
    private int _position;

    /// <summary>The one of so many to follow; 0 first.</summary>
    public int Pick(int of)
    {
        if (_position == _choices.Count)
        {
            _choices.Add((0, of));
        }

        return _choices[_position++].Taken;
    }

    /// <summary>Turns to the next combination.</summary>
    /// <returns>False if all were tried.</returns>
    public bool Next()
    {
        _position = 0;
        while (_choices.Count > 0)
        {
            var (taken, of) = _choices[^1];
            _choices.RemoveAt(_choices.Count - 1);
            if (taken + 1 < of)
            {
                _choices.Add((taken + 1, of));
                return true;
            }
        }

        return false;
    }
}
