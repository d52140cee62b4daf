import numpy as np
import pytest

from nashalign import evaluation


def sampled(num_prompts=6, num_responses=2, length=5, seed=0):
    """Log-probabilities of responses of different lengths under two policies."""
    rng = np.random.default_rng(seed)
    shape = (num_prompts, num_responses, length)
    ends = rng.integers(1, length + 1, shape[:2])
    mask = np.arange(length) < ends[..., None]
    log_probs = rng.normal(-2, 1, (2, *shape)).astype(np.float32)
    return log_probs[0] * mask, log_probs[1] * mask, mask


@pytest.mark.parametrize("padding", [0.0, -7.0, -np.inf, np.nan])
def test_adding_padding_columns_changes_nothing(padding):
    log_probs, reference_log_probs, mask = sampled()
    plain = evaluation.kl_to_reference(log_probs, reference_log_probs, mask)
    columns = ((0, 0), (0, 0), (0, 3))
    padded = evaluation.kl_to_reference(
        np.where(np.pad(mask, columns), np.pad(log_probs, columns), padding),
        np.pad(reference_log_probs, columns, constant_values=padding),
        np.pad(mask, columns),
    )
    assert padded == plain
    assert evaluation.response_length(np.pad(mask, columns)) == (
        evaluation.response_length(mask)
    )


def test_kl_is_the_mean_over_prompts_of_summed_log_ratios():
    log_probs, reference_log_probs, mask = sampled()
    per_prompt = [
        np.mean([(p - r)[m].sum() for p, r, m in zip(*prompt, strict=True)])
        for prompt in zip(log_probs, reference_log_probs, mask, strict=True)
    ]
    kl = evaluation.kl_to_reference(log_probs, reference_log_probs, mask)
    np.testing.assert_allclose(kl, evaluation.mean_interval(per_prompt), rtol=1e-6)


def test_sampled_kl_agrees_with_the_sum_over_outcomes():
    rng = np.random.default_rng(0)
    policy, reference = rng.dirichlet(np.ones(5), 2)
    tokens = rng.choice(5, (4000, 2, 3), p=policy)
    mask = np.ones(tokens.shape, bool)
    kl = evaluation.kl_to_reference(
        np.log(policy)[tokens], np.log(reference)[tokens], mask, confidence=0.999
    )
    exact = 3 * np.sum(policy * np.log(policy / reference))
    assert abs(kl.mean - exact) < kl.half_width < 0.2 * exact


def test_the_reference_is_at_no_distance_from_itself():
    log_probs, _, mask = sampled()
    assert evaluation.kl_to_reference(log_probs, log_probs, mask) == (0.0, 0.0)


def test_an_impossible_token_is_refused_with_its_prompt():
    log_probs, reference_log_probs, mask = sampled()
    reference_log_probs[2, 0, 0] = -np.inf
    with pytest.raises(ValueError, match="prompt 2 is not finite"):
        evaluation.kl_to_reference(log_probs, reference_log_probs, mask)


def test_length_counts_the_tokens_of_the_mask():
    mask = np.array([[[1, 1, 1], [1, 0, 0]], [[1, 1, 0], [1, 1, 0]]], bool)
    assert evaluation.response_length(mask) == (2.0, 0.0)


def test_truncated_share_is_over_responses():
    truncated = np.array([[True, False], [False, False]])
    assert evaluation.truncated_share(truncated).mean == 0.25
